#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flatfield::storage {

/// Percent-encodes every byte but the unreserved ones of RFC 3986 (letters, digits, - . _ ~) and
/// those in `keep`; hexadecimal digits are upper case, as signatures need them.
[[nodiscard]] std::string percent_encode(std::string_view text, std::string_view keep = "");

/// The path of an object in a URL: percent-encoded but for '/'.
[[nodiscard]] std::string encode_path(std::string_view key);

/// Undoes percent-encoding; with `plus_is_space` a '+' too (as in the listings of S3). None if a
/// '%' is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

/// An http:// or https:// URL without user, query and fragment.
struct HttpUrl {
  std::string scheme;  ///< "http" or "https"
  std::string host;    ///< with the port, if one is named; as a Host header has it
  std::string path;    ///< "" or "/..." as it was written, without '/' at its end

  [[nodiscard]] bool secure() const { return scheme == "https"; }
  [[nodiscard]] std::string text() const { return scheme + "://" + host + path; }
  /// Without port and without the brackets of an IPv6 address.
  [[nodiscard]] std::string host_name() const;
};

/// Throws Error(kUsage) that names `what` (an option or a variable) for anything else. A URL that
/// holds a user or a query, and so perhaps a secret, is refused without being repeated.
[[nodiscard]] HttpUrl parse_http_url(std::string_view url, std::string_view what);

}  // namespace flatfield::storage
