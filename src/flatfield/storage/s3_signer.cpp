#include "flatfield/storage/s3_signer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "flatfield/core/buffer.h"
#include "flatfield/storage/digest.h"
#include "flatfield/storage/uri_text.h"

namespace flatfield::storage {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kScopeEnd = "aws4_request";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// Without white space at the ends, and with one space for every run of it inside.
std::string single_spaced(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!space)
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

std::map<std::string, std::string> canonical_headers(const Fields& headers) {
  std::map<std::string, std::string> canonical;
  for (const auto& [name, value] : headers) {
    const auto [entry, is_new] = canonical.emplace(lower(name), single_spaced(value));
    if (!is_new) entry->second += "," + single_spaced(value);
  }
  return canonical;
}

std::string names_of(const std::map<std::string, std::string>& headers) {
  std::string names;
  for (const auto& [name, value] : headers) names += (names.empty() ? "" : ";") + name;
  return names;
}

std::string scope_text(const SigningScope& scope) {
  return fmt::format("{}/{}/{}/{}", basic_timestamp(scope.time).substr(0, 8), scope.region,
                     scope.service, kScopeEnd);
}

}  // namespace

std::string canonical_query(const Fields& query) {
  Fields encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query)
    encoded.emplace_back(percent_encode(name), percent_encode(value));
  std::sort(encoded.begin(), encoded.end());
  std::string text;
  for (const auto& [name, value] : encoded)
    text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  return text;
}

std::string canonical_request(const SignedRequest& request) {
  const auto headers = canonical_headers(request.headers);
  std::string lines;
  for (const auto& [name, value] : headers) lines += name + ":" + value + "\n";
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path,
                     canonical_query(request.query), lines, names_of(headers),
                     request.payload_hash);
}

std::string string_to_sign(std::string_view canonical, const SigningScope& scope) {
  return fmt::format("{}\n{}\n{}\n{}", kAlgorithm, basic_timestamp(scope.time), scope_text(scope),
                     to_hex(sha256(as_bytes(canonical))));
}

std::string authorization(const SignedRequest& request, const SigningScope& scope,
                          const Credentials& credentials) {
  const std::string secret = "AWS4" + credentials.secret_access_key;
  const Sha256 date_key = hmac_sha256(as_bytes(secret), basic_timestamp(scope.time).substr(0, 8));
  const Sha256 region_key = hmac_sha256(date_key, scope.region);
  const Sha256 service_key = hmac_sha256(region_key, scope.service);
  const Sha256 key = hmac_sha256(service_key, kScopeEnd);
  const Sha256 signature = hmac_sha256(key, string_to_sign(canonical_request(request), scope));
  return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                     credentials.access_key_id, scope_text(scope),
                     names_of(canonical_headers(request.headers)), to_hex(signature));
}

}  // namespace flatfield::storage
