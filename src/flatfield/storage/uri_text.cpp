#include "flatfield/storage/uri_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "flatfield/core/error.h"

namespace flatfield::storage {
namespace {

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

/// A port is digits, a host name printable characters that end nothing.
bool is_host(std::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return is_unreserved(c) || c == ':' || c == '[' || c == ']';
  });
}

}  // namespace

std::string percent_encode(std::string_view text, std::string_view keep) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c) || keep.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
    }
  }
  return out;
}

std::string encode_path(std::string_view key) { return percent_encode(key, "/"); }

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const auto high = hex_digit(text[i + 1]);
      const auto low = hex_digit(text[i + 2]);
      if (!high || !low) return std::nullopt;
      out += static_cast<char>(*high * 16 + *low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string HttpUrl::host_name() const {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

HttpUrl parse_http_url(std::string_view url, std::string_view what) {
  const std::size_t scheme_end = url.find("://");
  // Only what comes before the path may hold a user.
  const std::string_view rest =
      scheme_end == std::string_view::npos ? "" : url.substr(scheme_end + 3);
  const std::string_view host = rest.substr(0, std::min(rest.find_first_of("/?#"), rest.size()));
  if (host.find('@') != std::string_view::npos || url.find_first_of("?#") != std::string_view::npos)
    throw Error(ErrorCode::kUsage,
                fmt::format("{}: a URL with a user or a query is not taken", what), "",
                "leave out what follows '?' and what stands before '@'");
  HttpUrl parsed;
  if (scheme_end != std::string_view::npos) parsed.scheme = url.substr(0, scheme_end);
  parsed.host = host;
  parsed.path = rest.substr(host.size());
  while (parsed.path.ends_with('/')) parsed.path.pop_back();
  if ((parsed.scheme != "http" && parsed.scheme != "https") || !is_host(host))
    throw Error(ErrorCode::kUsage,
                fmt::format("{}: expected a URL like https://host:port, found \"{}\"", what, url));
  return parsed;
}

}  // namespace flatfield::storage
