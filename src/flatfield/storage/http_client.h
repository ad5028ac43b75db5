#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "flatfield/storage/s3_signer.h"

namespace flatfield::storage {

/// How long an exchange may take, and through what.
struct HttpOptions {
  double connect_seconds = 5.0;
  double stall_seconds = 20.0;     ///< an exchange that moves less than 1 KiB/s for so long fails
  std::string certificate_bundle;  ///< file of trusted certificates; "" = those of the system
  bool use_proxy = true;           ///< as http_proxy, https_proxy and no_proxy say
};

/// Where the body of a successful answer goes: called once with what is known of the answer (status
/// and headers) and the length of its body; returns as much room. Throws Error to refuse it.
struct HttpAnswer;
using BodyRoom =
    std::function<std::span<std::byte>(const HttpAnswer& answer, std::uint64_t length)>;

/// One request. What it points to must live until the exchange is over.
struct HttpRequest {
  std::string method = "GET";
  std::string url;
  Fields headers;
  std::span<const std::byte> body;
  BodyRoom room;                        ///< none: the body becomes HttpAnswer::text
  bool follow_redirects = false;        ///< at most five, never from https to http
  std::optional<double> stall_seconds;  ///< instead of the client's
  std::optional<double> total_seconds;  ///< the whole exchange may take so long
};

/// Why no (whole) answer came.
enum class TransportFailure : std::uint8_t {
  kNone,
  kUnreachable,  ///< the name is unknown, or nobody accepts a connection there
  kBroken,       ///< the connection ended early, or nothing moved any more
  kUntrusted,    ///< the certificate of the server is not good: trying again does not help
  kImpossible,   ///< the request cannot be made, e.g. a malformed URL
};

/// What came of a request.
struct HttpAnswer {
  int status = 0;    ///< HTTP status; 0 if there was no answer
  Fields headers;    ///< names in lower case
  std::string text;  ///< body of an answer for which there was no room; of an error its first 64 KiB
  std::uint64_t body_bytes = 0;
  TransportFailure failure = TransportFailure::kNone;
  std::string failure_text;  ///< e.g. "Could not resolve host: s3.example"

  [[nodiscard]] bool success() const {
    return failure == TransportFailure::kNone && status >= 200 && status < 300;
  }
  /// The last header of this (lower-case) name; "" if there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

/// HTTP/1.1 by libcurl. Connections are kept open and used again; certificates are verified.
/// All members may be called from several threads at once. A forked process may go on with it: the
/// connections stay those of its parent alone, and it makes its own.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Makes one attempt. Whatever goes wrong on the way is in the answer. Throws what `room` throws;
  /// Error(kReadFailed) for a successful answer that is longer than it says, than 64 MiB where there is no room for it, or
  /// than 1 GiB where there is and it does not say its length; Error(kInternal) for a room that is too small or an option
  /// that libcurl refuses; std::bad_alloc.
  [[nodiscard]] HttpAnswer exchange(const HttpRequest& request) const;

 private:
  class Handles;
  [[nodiscard]] Handles& own_handles() const;

  HttpOptions options_;
  mutable std::atomic<Handles*> handles_;  ///< of this process, or of the one that it was forked from; owned
};

}  // namespace flatfield::storage
