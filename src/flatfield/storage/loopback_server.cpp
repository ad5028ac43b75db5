#include "flatfield/storage/loopback_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <thread>

#include "flatfield/core/error.h"
#include "flatfield/storage/uri_text.h"

namespace flatfield::storage {
namespace {

constexpr std::size_t kConnections = 16;  ///< at the same time
constexpr std::size_t kLongestHead = 16384;
constexpr std::uint64_t kPieceBytes = 1U << 20U;
constexpr int kTick = 200;         ///< milliseconds between two looks at whether to stop
constexpr int kIdleTicks = 75;     ///< after which a silent connection is closed

/// A connection that is closed with its owner.
class Connection {
 public:
  explicit Connection(int socket) : socket_(socket) {}
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The head of the next request, its end not included; none when the other side has gone, is silent or sends too much.
  std::optional<std::string> next_head(const std::function<bool()>& stop) {
    for (int idle = 0; idle < kIdleTicks && !stop();) {
      if (const std::size_t end = received_.find("\r\n\r\n"); end != std::string::npos) {
        std::string head = received_.substr(0, end);
        received_.erase(0, end + 4);
        return head;
      }
      if (received_.size() > kLongestHead) return std::nullopt;
      pollfd wait{socket_, POLLIN, 0};
      const int ready = ::poll(&wait, 1, kTick);
      if (ready < 0 && errno != EINTR) return std::nullopt;
      if (ready <= 0) {
        ++idle;
        continue;
      }
      char piece[4096];
      const ssize_t got = ::recv(socket_, piece, sizeof(piece), 0);
      if (got <= 0) return std::nullopt;
      received_.append(piece, static_cast<std::size_t>(got));
    }
    return std::nullopt;
  }

  /// False when the other side has gone.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

 private:
  int socket_;
  std::string received_;
};

const char* phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 416: return "Range Not Satisfiable";
    default: return "Internal Server Error";
  }
}

/// Sends an answer; false when the connection cannot be used any more. Throws what reading the content throws, but
/// only before anything was sent.
bool send_answer(const Connection& connection, const ServedAnswer& answer, bool with_body) {
  Buffer piece;
  const auto read = [&](std::uint64_t at) { answer.body(at, std::min(kPieceBytes, answer.length - at), piece); };
  const bool has_content = with_body && answer.body && answer.length > 0;
  if (has_content) read(0);
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", answer.status, phrase(answer.status));
  for (const auto& [name, value] : answer.headers) head += name + ": " + value + "\r\n";
  if (answer.status != 204) head += fmt::format("Content-Length: {}\r\n", answer.length);
  if (!connection.send(head + "\r\n")) return false;
  if (!has_content) return true;
  for (std::uint64_t at = 0; at < answer.length; at += kPieceBytes) {
    try {
      if (at > 0) read(at);
    } catch (const std::exception&) {
      return false;  // whatever came now would be taken for content
    }
    const auto bytes = piece.span();
    if (!connection.send({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) return false;
  }
  return true;
}

/// Answers the requests of a connection, until it cannot be used any more or the server is to stop.
void answer_requests(Connection& connection, const LoopbackServer::Handler& handler, const std::function<bool()>& stop) {
  while (const auto head = connection.next_head(stop)) {
    const auto request = parse_request(*head);
    // What follows a head that is not understood may be anything.
    if (!request) {
      static_cast<void>(send_answer(connection, {400, {{"Connection", "close"}}, 0, {}}, false));
      return;
    }
    if (!send_answer(connection, handler(*request), request->method != "HEAD")) return;
    if (request->header("connection") == "close" || request->header("content-length") != "") return;
  }
}

/// What goes wrong with a connection ends it, and not the program.
void converse(int socket, const LoopbackServer::Handler& handler, const std::function<bool()>& stop) {
  Connection connection(socket);
  try {
    answer_requests(connection, handler, stop);
  } catch (const std::exception&) {
    // Put together here, it could fail too: there may be no memory.
    connection.send("HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  }
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// A whole number of digits only; none for anything else.
std::optional<std::uint64_t> digits(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

const std::string& ServedRequest::header(const std::string& name) const {
  static const std::string kNone;
  const auto found = headers.find(name);
  return found == headers.end() ? kNone : found->second;
}

std::optional<ServedRequest> parse_request(std::string_view head) {
  const auto next_line = [&] {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    return line;
  };
  const std::string_view first = next_line();
  const std::size_t a = first.find(' ');
  const std::size_t b = first.rfind(' ');
  if (a == std::string_view::npos || a == b || first.substr(b + 1, 7) != "HTTP/1.") return std::nullopt;
  ServedRequest request;
  request.method = first.substr(0, a);
  std::string_view target = first.substr(a + 1, b - a - 1);
  target = target.substr(0, target.find('?'));
  if (!target.starts_with('/')) return std::nullopt;
  const auto path = percent_decode(target, false);
  if (!path) return std::nullopt;
  request.path = *path;
  while (!head.empty()) {
    const std::string_view line = next_line();
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    request.headers[lower_case(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
  }
  return request;
}

std::optional<ByteRange> parse_byte_range(std::string_view header, std::uint64_t size) {
  if (!header.starts_with("bytes=") || size == 0) return std::nullopt;
  header = trimmed(header.substr(6));
  const std::size_t dash = header.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = digits(header.substr(0, dash));
  const auto last = digits(header.substr(dash + 1));
  if (dash == 0) {  // the last so many bytes
    if (!last || *last == 0) return std::nullopt;
    const std::uint64_t length = std::min(*last, size);
    return ByteRange{size - length, length};
  }
  const bool is_open = dash + 1 == header.size();
  if (!first || *first >= size || (!is_open && (!last || *last < *first))) return std::nullopt;
  return ByteRange{*first, (is_open ? size - 1 : std::min(*last, size - 1)) - *first + 1};
}

LoopbackServer::LoopbackServer(int port) {
  if (port < 0 || port > 65535)
    throw Error(ErrorCode::kUsage, fmt::format("port: expected 0 to 65535, found {}", port));
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto refuse = [&] {
    const int reason = errno;
    if (socket_ >= 0) ::close(socket_);
    throw Error(ErrorCode::kWriteFailed, fmt::format("cannot listen on port {}: {}", port, std::strerror(reason)),
                "127.0.0.1", "choose another --port");
  };
  if (socket_ < 0) refuse();
  const int yes = 1;
  ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  socklen_t length = sizeof(address);
  if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(socket_, 64) != 0 ||
      ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    refuse();
  port_ = ntohs(address.sin_port);
}

LoopbackServer::~LoopbackServer() { ::close(socket_); }

void LoopbackServer::serve(const Handler& handler, const std::function<bool()>& stop) const {
  const auto accept_some = [&] {
    while (!stop()) {
      pollfd wait{socket_, POLLIN, 0};
      if (::poll(&wait, 1, kTick) <= 0) continue;
      // Another thread may have been faster.
      const int accepted = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) continue;
      const int yes = 1;
      ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
      // A browser that stops reading must not hold a thread for ever.
      const timeval patience{30, 0};
      ::setsockopt(accepted, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
      converse(accepted, handler, stop);
    }
  };
  std::vector<std::jthread> threads;
  threads.reserve(kConnections - 1);
  try {
    while (threads.size() < kConnections - 1) threads.emplace_back(accept_some);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): those that there are do the work
  }
  accept_some();
}

}  // namespace flatfield::storage
