#pragma once

#include <memory>
#include <string>

#include "flatfield/storage/s3_client.h"
#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// What lies below a key of a bucket ("" = the whole bucket) as a Store. Objects larger than
/// `S3Options::part_bytes` are read in ranges and larger than `largest_put` written in parts,
/// several at a time; `erase_prefix` removes a thousand objects per request. A key that ends in '/'
/// (the folder of a browser) is no object here. Absence is told from a missing bucket, and from
/// what may not be read, which are errors.
[[nodiscard]] std::shared_ptr<Store> open_s3_store(std::shared_ptr<S3Client> client,
                                                   std::string root);

}  // namespace flatfield::storage
