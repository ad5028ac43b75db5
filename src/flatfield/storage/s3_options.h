#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "flatfield/core/environment.h"
#include "flatfield/storage/http_client.h"
#include "flatfield/storage/retry_policy.h"

namespace flatfield::storage {

/// How S3 is spoken to. What is left empty is taken from the environment and from the files of the
/// AWS command line (aws_settings.h).
struct S3Options {
  std::string endpoint;        ///< URL of another server than Amazon's
  std::string region;          ///< without one it is asked of the bucket
  bool anonymous = false;      ///< requests are not signed, and no credentials looked for
  bool request_payer = false;  ///< the requester pays
  std::string sse;  ///< encryption of what is written: "", "AES256", "aws:kms" or "aws:kms:KEY"
  std::string acl;  ///< canned access list of what is written, e.g. "bucket-owner-full-control"
  /// Whether what is written goes with its CRC-32C, which the server compares. Where nothing is said, at Amazon alone: other
  /// servers need not know of it.
  std::optional<bool> checksums;
  int concurrency = 32;  ///< requests under way at once, at most
  RetryOptions retry;
  HttpOptions http;
  std::size_t part_bytes = std::size_t{16} << 20U;   ///< of multipart uploads and parallel reads
  std::size_t largest_put = std::size_t{64} << 20U;  ///< larger objects are uploaded in parts
  std::size_t queue_bytes = std::size_t{64}
                            << 20U;        ///< of objects that `put_soon` holds, per store
  std::optional<Credentials> credentials;  ///< instead of looking for them
  Environment environment = process_environment;
};

}  // namespace flatfield::storage
