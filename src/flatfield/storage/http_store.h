#pragma once

#include <memory>
#include <string>

#include "flatfield/storage/http_client.h"
#include "flatfield/storage/retry_policy.h"
#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// What a web server has below a URL (http:// or https://), to be read only: `put`, `create` and
/// the erasing throw Error(kWriteFailed), `list` throws Error(kUnsupported). Answers of status 404
/// and 410 mean absence. Throws Error(kUsage) for a URL that holds a user or a query.
[[nodiscard]] std::shared_ptr<Store> open_http_store(const std::string& url,
                                                     std::shared_ptr<const HttpClient> http,
                                                     const RetryOptions& retry, int concurrency);

}  // namespace flatfield::storage
