// The JSON of credential services, and the headers and times that come with answers.
#include <string>
#include <string_view>

#include "flatfield/core/error.h"
#include "flatfield/storage/credential_requests.h"
#include "flatfield/storage/ranged_read.h"
#include "flatfield/storage/utc_time.h"
#include "targets.h"

void flatfield::fuzz::json_credentials(Input input) {
  using namespace flatfield::storage;
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  try {
    const Credentials credentials = parse_credentials_json(text, "Token", "fuzz");
    if (credentials.access_key_id.empty()) __builtin_trap();
  } catch (const flatfield::Error&) {  // NOLINT(bugprone-empty-catch)
  }
  if (const auto range = parse_content_range(text))
    if (range->length() > range->total) __builtin_trap();
  static_cast<void>(parse_iso_time(text));
  static_cast<void>(parse_http_date(text));
  HttpAnswer answer;
  answer.headers = {{"retry-after", std::string(text)}};
  if (const auto seconds = retry_after_seconds(answer))
    if (!(*seconds >= 0.0 && *seconds <= 60.0)) __builtin_trap();
}
