#pragma once

#include "flatfield/config/run_config.h"
#include "flatfield/storage/s3_options.h"

namespace flatfield::pipeline {

/// The options of S3 that a run was given.
[[nodiscard]] inline storage::S3Options s3_options(const config::RunConfig& config) {
  storage::S3Options options;
  options.endpoint = config.s3_endpoint;
  options.region = config.s3_region;
  options.anonymous = config.s3_anonymous;
  options.request_payer = config.s3_request_payer;
  options.sse = config.s3_sse;
  options.acl = config.s3_acl;
  options.concurrency = config.s3_concurrency;
  options.retry.max_attempts = config.s3_max_attempts;
  return options;
}

}  // namespace flatfield::pipeline
