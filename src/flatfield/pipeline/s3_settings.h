#pragma once

#include <algorithm>
#include <cstdint>

#include "flatfield/config/run_config.h"
#include "flatfield/storage/s3_options.h"

namespace flatfield::pipeline {

/// The options of S3 that a run was given; `memory_bytes` is what it may use, 0 where nothing large is
/// written.
[[nodiscard]] inline storage::S3Options s3_options(const config::RunConfig& config,
                                                   std::int64_t memory_bytes = 0) {
  storage::S3Options options;
  options.endpoint = config.s3_endpoint;
  options.region = config.s3_region;
  options.anonymous = config.s3_anonymous;
  options.request_payer = config.s3_request_payer;
  options.sse = config.s3_sse;
  options.acl = config.s3_acl;
  options.concurrency = config.s3_concurrency;
  options.retry.max_attempts = config.s3_max_attempts;
  // Small shares, of which no run needs more than a gigabyte. S3 takes no parts of less than 5 MiB.
  if (memory_bytes > 0) {
    options.queue_bytes =
        static_cast<std::size_t>(std::clamp<std::int64_t>(memory_bytes / 32, 8 << 20, 1 << 30));
    options.part_bytes =
        static_cast<std::size_t>(std::clamp<std::int64_t>(memory_bytes / 64, 5 << 20, 16 << 20));
  }
  return options;
}

}  // namespace flatfield::pipeline
