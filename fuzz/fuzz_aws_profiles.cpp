// The settings files of the AWS command line, and locations.
#include <string>
#include <string_view>

#include "flatfield/core/error.h"
#include "flatfield/storage/aws_settings.h"
#include "flatfield/storage/s3_location.h"
#include "flatfield/storage/uri_text.h"
#include "targets.h"

void flatfield::fuzz::aws_profiles(Input input) {
  using namespace flatfield::storage;
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  static_cast<void>(parse_aws_profiles(text, false));
  static_cast<void>(parse_aws_profiles(text, true));
  if (percent_decode(percent_encode(text), true) != std::string(text)) __builtin_trap();
  try {
    const S3Location place = parse_s3_location(text);
    static_cast<void>(bucket_url(place.bucket, "", "us-east-1"));
  } catch (const flatfield::Error&) {  // NOLINT(bugprone-empty-catch)
  }
  try {
    static_cast<void>(parse_http_url(text, "fuzz"));
  } catch (const flatfield::Error&) {  // NOLINT(bugprone-empty-catch)
  }
}
