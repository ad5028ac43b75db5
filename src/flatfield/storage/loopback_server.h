#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flatfield/core/buffer.h"
#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// A request as a browser sends it.
struct ServedRequest {
  std::string method;
  std::string path;                            ///< decoded; begins with '/', without the query
  std::map<std::string, std::string> headers;  ///< names in lower case

  /// "" where there is no such header.
  [[nodiscard]] const std::string& header(const std::string& name) const;
};

/// What is answered. `body(offset, length, into)` reads a part of the content of `length` bytes; none = no content.
struct ServedAnswer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::uint64_t length = 0;
  std::function<void(std::uint64_t offset, std::uint64_t length, Buffer& into)> body;
};

/// The head of a request, without the empty line at its end; none if it is not one.
[[nodiscard]] std::optional<ServedRequest> parse_request(std::string_view head);

/// The bytes of an object of `size` bytes that a Range header asks for, clipped to it; none if it asks for none
/// of them, or is not one range of bytes.
[[nodiscard]] std::optional<ByteRange> parse_byte_range(std::string_view header, std::uint64_t size);

/// An HTTP/1.1 server for programs of this machine: it listens on 127.0.0.1 only, and answers GET, HEAD and OPTIONS. It
/// serves a few connections at the same time; requests without content only.
class LoopbackServer {
 public:
  using Handler = std::function<ServedAnswer(const ServedRequest&)>;

  /// `port` 0 = any that is free. Throws Error(kUsage) unless it is 0 to 65535, Error(kWriteFailed) where it cannot be had.
  explicit LoopbackServer(int port);
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  /// Answers until `stop` says so. The handler is called from several threads, the calling one among them, and from fewer
  /// where no more can be started; what it throws is answered with status 500.
  void serve(const Handler& handler, const std::function<bool()>& stop) const;

 private:
  int socket_ = -1;
  int port_ = 0;
};

}  // namespace flatfield::storage
