#include "flatfield/storage/http_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "flatfield/core/error.h"
#include "flatfield/storage/ranged_read.h"
#include "flatfield/storage/uri_text.h"

namespace flatfield::storage {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{16} << 20U;
constexpr int kPiecesAtOnce = 8;

class HttpStore final : public Store {
 public:
  HttpStore(HttpUrl root, std::shared_ptr<const HttpClient> http, const RetryOptions& retry,
            int concurrency)
      : root_(std::move(root)), client_(std::move(http), retry, concurrency) {}

  bool get(std::string_view key, Buffer& into) const override {
    return read_object(object(key), into);
  }
  bool get_range(std::string_view key, ByteRange range, Buffer& into) const override {
    return read_object_range(object(key), range, into);
  }
  std::optional<std::uint64_t> get_tail(std::string_view key, std::uint64_t length,
                                        Buffer& into) const override {
    return read_object_tail(object(key), length, into);
  }
  std::optional<std::uint64_t> size(std::string_view key) const override {
    return read_object_size(object(key));
  }
  std::optional<ObjectStamp> stamp(std::string_view key) const override {
    return read_object_stamp(object(key));
  }
  void put(std::string_view key, std::span<const std::byte> /*bytes*/) override { refuse(key); }
  std::unique_ptr<ObjectWriter> create(std::string_view key) override { refuse(key); }
  void erase(std::string_view key) override { refuse(key); }
  void erase_prefix(std::string_view prefix) override { refuse(prefix); }
  std::vector<std::string> list(std::string_view prefix) const override {
    throw Error(ErrorCode::kUnsupported, "a web server does not say what it has", describe(prefix),
                "name an s3:// location or a local folder");
  }
  int reads_at_once() const override { return std::min(kPiecesAtOnce, client_.most_at_once()); }
  std::string describe(std::string_view key) const override {
    return join_key(root_.text(), encode_path(key));
  }

 private:
  [[noreturn]] void refuse(std::string_view key) const {
    throw Error(ErrorCode::kWriteFailed, "a web server can only be read from", describe(key),
                "name an s3:// location or a local folder");
  }

  [[nodiscard]] RemoteObject object(std::string_view key) const {
    check_key(key);
    RemoteObject object;
    object.where = describe(key);
    object.piece_bytes = kPieceBytes;
    object.pieces_at_once = reads_at_once();
    object.ask = [this, url = object.where](const std::string& method, const Fields& headers,
                                            const BodyRoom& room) {
      return ask(method, url, headers, room);
    };
    return object;
  }

  [[nodiscard]] std::optional<HttpAnswer> ask(const std::string& method, const std::string& url,
                                              const Fields& headers, const BodyRoom& room) const {
    Outcome outcome = client_.send([&](int /*attempt*/) {
      HttpRequest request;
      request.method = method;
      request.url = url;
      request.headers = headers;
      request.room = room;
      request.follow_redirects = true;
      return request;
    });
    const HttpAnswer& answer = outcome.answer;
    const bool answered = answer.failure == TransportFailure::kNone;
    if (answered && (answer.status == 404 || answer.status == 410)) return std::nullopt;
    if (!answer.success() && !(answered && (answer.status == 412 || answer.status == 416))) {
      const std::string effort = outcome.effort();
      throw Error(ErrorCode::kReadFailed,
                  fmt::format("cannot read: {}{}{}",
                              answered ? fmt::format("the server answers {}", answer.status)
                                       : answer.failure_text,
                              effort.empty() ? "" : ", ", effort),
                  url,
                  answered ? "check what this server lets everybody read" : "check the network");
    }
    return std::move(outcome.answer);
  }

  HttpUrl root_;
  mutable PatientClient client_;
};

}  // namespace

std::shared_ptr<Store> open_http_store(const std::string& url,
                                       std::shared_ptr<const HttpClient> http,
                                       const RetryOptions& retry, int concurrency) {
  return std::make_shared<HttpStore>(parse_http_url(url, "this location"), std::move(http), retry,
                                     concurrency);
}

}  // namespace flatfield::storage
