#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flatfield/storage/utc_time.h"

namespace flatfield::storage {

/// Names and values, in order; a name may occur several times.
using Fields = std::vector<std::pair<std::string, std::string>>;

/// Who signs. Never printed; `session_token` is "" for long-term credentials.
struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::optional<UnixSeconds> expiration;  ///< none = they do not expire

  friend bool operator==(const Credentials&, const Credentials&) = default;
};

/// The parts of a request that its signature covers.
struct SignedRequest {
  std::string_view method;        ///< "GET", ...
  std::string_view path;          ///< percent-encoded, as in the URL; "/" at least
  const Fields& query;            ///< not encoded
  const Fields& headers;          ///< all of them are signed; Host and X-Amz-Date must be there
  std::string_view payload_hash;  ///< hexadecimal SHA-256 of the body, or "UNSIGNED-PAYLOAD"
};

/// What a signature is good for.
struct SigningScope {
  std::string_view region;
  std::string_view service;  ///< "s3", "sts"
  UnixSeconds time = 0;
};

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

// AWS Signature Version 4 ("Create a signed AWS API request", IAM user guide) as S3 wants it: paths
// are neither normalised nor encoded a second time.

/// Query as it stands in the URL and in the canonical request: encoded and sorted, every name with
/// '='.
[[nodiscard]] std::string canonical_query(const Fields& query);
/// Names in lower case and sorted, values with single spaces, several of one name joined by ','.
[[nodiscard]] std::string canonical_request(const SignedRequest& request);
[[nodiscard]] std::string string_to_sign(std::string_view canonical_request,
                                         const SigningScope& scope);
/// Value of the Authorization header.
[[nodiscard]] std::string authorization(const SignedRequest& request, const SigningScope& scope,
                                        const Credentials& credentials);

}  // namespace flatfield::storage
