#pragma once

#include <string>
#include <string_view>

#include "flatfield/storage/uri_text.h"

namespace flatfield::storage {

/// A place in a bucket.
struct S3Location {
  std::string bucket;
  std::string
      key;  ///< as it is, not percent-encoded; without '/' at its ends; "" = the whole bucket
};

/// Reads "s3://bucket/key". Throws Error(kUsage) if that is not what it is.
[[nodiscard]] S3Location parse_s3_location(std::string_view location);

/// Where the objects of a bucket are: at Amazon in `region` under a host of its own, if its name is
/// one; at another server (`endpoint`, "" = Amazon) below a path with its name. Objects follow
/// after
/// '/'. Throws Error(kUsage) for a malformed endpoint.
[[nodiscard]] HttpUrl bucket_url(const std::string& bucket, const std::string& endpoint,
                                 const std::string& region);

/// Whether a server (`endpoint`, "" = Amazon) is one of Amazon's. Throws Error(kUsage) for a malformed endpoint.
[[nodiscard]] bool is_amazon(const std::string& endpoint);

}  // namespace flatfield::storage
