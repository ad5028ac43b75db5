#include "flatfield/storage/s3_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/storage/digest.h"
#include "flatfield/storage/fan_out.h"
#include "flatfield/storage/ranged_read.h"
#include "flatfield/storage/s3_upload.h"
#include "flatfield/storage/write_queue.h"

namespace flatfield::storage {
namespace {

constexpr std::size_t kKeysPerRemoval = 1000;  ///< of DeleteObjects, by its definition
constexpr int kRemovalsAtOnce = 8;
constexpr int kPiecesAtOnce = 8;
constexpr int kMostRemovalRounds = 8;

class S3Store final : public Store {
 public:
  S3Store(std::shared_ptr<S3Client> client, std::string root)
      : client_(std::move(client)),
        root_(std::move(root)),
        queue_(
            [this](const std::string& key, std::span<const std::byte> bytes) {
              put_object(client_, join_key(root_, key), describe(key), bytes);
            },
            client_->options().concurrency, client_->options().queue_bytes) {}

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

  void put(std::string_view key, std::span<const std::byte> bytes) override {
    check_key(key);
    queue_.flush();
    put_object(client_, join_key(root_, key), describe(key), bytes);
  }
  void put_soon(std::string_view key, std::span<const std::byte> bytes) override {
    check_key(key);
    queue_.push(std::string(key), bytes);
  }
  void put_last(std::string_view key, std::span<const std::byte> bytes) override {
    check_key(key);
    queue_.push(std::string(key), bytes, WriteQueue::Turn::kAfterOthers);
  }
  void flush() override { queue_.flush(); }
  std::unique_ptr<ObjectWriter> create(std::string_view key) override {
    check_key(key);
    queue_.flush(key);
    return make_s3_writer(client_, join_key(root_, key), describe(key));
  }

  std::vector<std::string> list(std::string_view prefix) const override {
    if (!prefix.empty()) check_key(prefix);
    queue_.flush();
    const std::string start = below(prefix);
    std::vector<std::string> names;
    std::string token;
    do {
      const S3Listing page = list_page(start, "/", token, describe(prefix), ErrorCode::kReadFailed);
      for (const auto& found : page.objects) add_name(found.key, start, names);
      for (const std::string& found : page.prefixes) add_name(found, start, names);
      token = page.next_token;
    } while (!token.empty());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

  void erase(std::string_view key) override {
    check_key(key);
    queue_.flush(key);
    erase_object(join_key(root_, key));
  }

  void erase_prefix(std::string_view prefix) override {
    if (!prefix.empty()) check_key(prefix);
    queue_.flush();
    const std::string start = below(prefix);
    std::string token;
    do {
      // As much as is removed at once is listed first: what is listed is not held for ever.
      std::vector<std::vector<std::string>> batches;
      do {
        const S3Listing page =
            list_page(start, "", token, describe(prefix), ErrorCode::kWriteFailed);
        token = page.next_token;
        std::vector<std::string> keys;
        for (const auto& found : page.objects) {
          keys.push_back(found.key);
          if (keys.size() == kKeysPerRemoval) batches.push_back(std::exchange(keys, {}));
        }
        if (!keys.empty()) batches.push_back(std::move(keys));
      } while (!token.empty() && batches.size() < kRemovalsAtOnce);
      fan_out(static_cast<std::int64_t>(batches.size()), kRemovalsAtOnce, [&](std::int64_t i) {
        erase_batch(std::move(batches[static_cast<std::size_t>(i)]), describe(prefix));
      });
    } while (!token.empty());
  }

  void visit_all(std::string_view prefix, const Visit& visit) const override {
    if (!prefix.empty()) check_key(prefix);
    queue_.flush();
    const std::string start = below("");
    std::string token;
    do {
      const S3Listing page = list_page(below(prefix), "", token, describe(prefix), ErrorCode::kReadFailed);
      for (const auto& found : page.objects)
        if (!found.key.ends_with('/')) visit(found.key.substr(start.size()), found.size);
      token = page.next_token;
    } while (!token.empty());
  }

  void erase_leftovers(std::string_view prefix) override {
    if (!prefix.empty()) check_key(prefix);
    queue_.flush();
    S3Call call;
    S3Uploads page;
    do {
      call.query = {{"uploads", ""}, {"encoding-type", "url"}, {"prefix", below(prefix)}};
      if (!page.next_key.empty()) call.query.emplace_back("key-marker", page.next_key);
      if (!page.next_id.empty()) call.query.emplace_back("upload-id-marker", page.next_id);
      const S3Answer answer = client_->call(call);
      // Not every server knows this, nor does everybody who may write have the right to it. A rule of the
      // bucket then removes the uploads one day.
      if (!answer.success()) return;
      try {
        page = parse_uploads(answer.http().text, describe(prefix));
      } catch (const Error&) {
        return;
      }
      for (const auto& upload : page.uploads) abort_upload(client_, upload.key, upload.id);
    } while (!page.next_key.empty());
  }

  int reads_at_once() const override { return pieces_at_once(); }
  std::string describe(std::string_view key) const override {
    return join_key("s3://" + client_->bucket(), join_key(root_, key));
  }

 private:
  [[nodiscard]] std::string below(std::string_view prefix) const {
    const std::string start = join_key(root_, prefix);
    return start.empty() ? start : start + "/";
  }

  static void add_name(const std::string& key, const std::string& start,
                       std::vector<std::string>& names) {
    if (key.size() > start.size() && key.starts_with(start) && key != start + "/")
      names.push_back(key.substr(start.size()));
  }

  [[nodiscard]] int pieces_at_once() const {
    return std::min(kPiecesAtOnce, client_->options().concurrency);
  }
  [[nodiscard]] RemoteObject object(std::string_view key) const {
    check_key(key);
    queue_.flush(key);
    RemoteObject object;
    object.where = describe(key);
    object.piece_bytes = client_->options().part_bytes;
    object.pieces_at_once = pieces_at_once();
    object.ask = [this, full = join_key(root_, key), where = object.where](
                     const std::string& method, const Fields& headers, const BodyRoom& room) {
      return ask(method, full, headers, room, where);
    };
    return object;
  }

  [[nodiscard]] std::optional<HttpAnswer> ask(const std::string& method, const std::string& key,
                                              const Fields& headers, const BodyRoom& room,
                                              const std::string& where) const {
    S3Call call;
    call.method = method;
    call.key = key;
    call.headers = headers;
    call.room = room;
    S3Answer answer = client_->call(call);
    if (answer.absent()) {
      // The answer to HEAD does not say whether it is the object or the bucket that is missing.
      if (answer.code().empty() && !bucket_seen_) confirm_bucket(where);
      bucket_seen_ = true;
      return std::nullopt;
    }
    const int status = answer.http().status;
    if (!answer.success() && status != 412 && status != 416)
      client_->fail(answer, code_for(answer, ErrorCode::kReadFailed), "read", where);
    bucket_seen_ = true;
    return std::move(answer.outcome.answer);
  }

  void confirm_bucket(const std::string& where) const {
    S3Call call;
    call.query = {{"list-type", "2"}, {"max-keys", "1"}};
    const S3Answer answer = client_->call(call);
    if (answer.code() == "NoSuchBucket") client_->fail(answer, ErrorCode::kNotFound, "read", where);
  }

  static ErrorCode code_for(const S3Answer& answer, ErrorCode otherwise) {
    return answer.code() == "NoSuchBucket" && otherwise == ErrorCode::kReadFailed
               ? ErrorCode::kNotFound
               : otherwise;
  }

  [[nodiscard]] S3Listing list_page(const std::string& prefix, const std::string& delimiter,
                                    const std::string& token, const std::string& where,
                                    ErrorCode code) const {
    S3Call call;
    call.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", prefix}};
    if (!delimiter.empty()) call.query.emplace_back("delimiter", delimiter);
    if (!token.empty()) call.query.emplace_back("continuation-token", token);
    const S3Answer answer = client_->call(call);
    if (!answer.success()) client_->fail(answer, code_for(answer, code), "list", where);
    bucket_seen_ = true;
    try {
      return parse_listing(answer.http().text, where);
    } catch (const Error& error) {
      throw Error(code, error.message(), where);
    }
  }

  void erase_object(const std::string& key) {
    S3Call call;
    call.method = "DELETE";
    call.key = key;
    const S3Answer answer = client_->call(call);
    if (!answer.success() && !answer.absent())
      client_->fail(answer, ErrorCode::kWriteFailed, "remove",
                    join_key("s3://" + client_->bucket(), key));
  }

  /// Removes at most kKeysPerRemoval objects. Those that the server puts off are tried again.
  void erase_batch(std::vector<std::string> keys, const std::string& where) {
    std::optional<S3DeleteFailure> refused;
    for (int round = 1; !keys.empty(); ++round) {
      // The request went well, so it is here that a server that has too much to do is given time.
      if (round > 1) pause_before_attempt(client_->options().retry, round);
      const std::string document = delete_document(keys);
      S3Call call;
      call.method = "POST";
      call.query = {{"delete", ""}};
      call.headers = {{"Content-MD5", to_base64(md5(as_bytes(document)))},
                      {"Content-Type", "application/xml"}};
      call.body = as_bytes(document);
      call.answers_early = true;
      const S3Answer answer = client_->call(call);
      if (!answer.success()) {
        // Servers that are not Amazon's may know only the removal of one object.
        const int status = answer.http().status;
        if (status == 501 || status == 405 || answer.code() == "NotImplemented") {
          for (const std::string& key : keys) erase_object(key);
          break;
        }
        client_->fail(answer, ErrorCode::kWriteFailed, "remove objects below", where);
      }
      keys.clear();
      for (S3DeleteFailure& failure : failures_of(answer, where)) {
        if (failure.error.code == "NoSuchKey") continue;
        if (round < kMostRemovalRounds && may_pass(failure.error.code))
          keys.push_back(std::move(failure.key));
        else if (!refused)
          refused = std::move(failure);
      }
    }
    if (refused)
      throw Error(ErrorCode::kWriteFailed,
                  fmt::format("cannot remove: the server answers {}, \"{}\"", refused->error.code,
                              refused->error.message),
                  join_key("s3://" + client_->bucket(), refused->key));
  }

  static std::vector<S3DeleteFailure> failures_of(const S3Answer& answer,
                                                  const std::string& where) {
    try {
      return parse_delete_result(answer.http().text, where);
    } catch (const Error& error) {
      throw Error(ErrorCode::kWriteFailed, error.message(), where);
    }
  }

  std::shared_ptr<S3Client> client_;
  std::string root_;
  mutable std::atomic<bool> bucket_seen_{false};
  mutable WriteQueue queue_;  ///< last, so that its threads end first
};

}  // namespace

std::shared_ptr<Store> open_s3_store(std::shared_ptr<S3Client> client, std::string root) {
  return std::make_shared<S3Store>(std::move(client), std::move(root));
}

}  // namespace flatfield::storage
