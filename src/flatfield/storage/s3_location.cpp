#include "flatfield/storage/s3_location.h"

#include <fmt/format.h>

#include <algorithm>

#include "flatfield/core/error.h"

namespace flatfield::storage {
namespace {

bool is_small_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// Names that other servers take are laxer than Amazon's.
bool is_bucket_name(std::string_view name) {
  return name.size() >= 2 && name.size() <= 255 && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_small_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
                  c == '_';
         });
}

/// A name with dots would not match the certificate of "*.s3.amazonaws.com".
bool may_be_host(std::string_view bucket) {
  return std::all_of(bucket.begin(), bucket.end(),
                     [](char c) { return is_small_or_digit(c) || c == '-'; });
}

}  // namespace

S3Location parse_s3_location(std::string_view location) {
  constexpr std::string_view kScheme = "s3://";
  std::string_view rest = location;
  if (rest.starts_with(kScheme)) rest.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  S3Location parsed{std::string(rest.substr(0, slash)),
                    std::string(rest.substr(std::min(slash + 1, rest.size())))};
  while (parsed.key.ends_with('/')) parsed.key.pop_back();
  if (!location.starts_with(kScheme) || !is_bucket_name(parsed.bucket) ||
      parsed.key.find('\0') != std::string::npos)
    throw Error(ErrorCode::kUsage, "this is no place in a bucket", location,
                "expected s3://BUCKET/KEY");
  return parsed;
}

bool is_amazon(const std::string& endpoint) {
  if (endpoint.empty()) return true;
  const std::string host = parse_http_url(endpoint, "--s3-endpoint").host_name();
  return host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
}

HttpUrl bucket_url(const std::string& bucket, const std::string& endpoint,
                   const std::string& region) {
  if (!endpoint.empty()) {
    HttpUrl url = parse_http_url(endpoint, "--s3-endpoint");
    url.path += "/" + bucket;
    return url;
  }
  const char* domain = region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  if (may_be_host(bucket)) return {"https", fmt::format("{}.s3.{}.{}", bucket, region, domain), ""};
  return {"https", fmt::format("s3.{}.{}", region, domain), "/" + bucket};
}

}  // namespace flatfield::storage
