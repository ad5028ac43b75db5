#include "flatfield/storage/s3_upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <future>
#include <optional>
#include <system_error>

#include "flatfield/core/buffer.h"
#include "flatfield/core/crc32c.h"
#include "flatfield/storage/digest.h"
#include "flatfield/storage/fan_out.h"

namespace flatfield::storage {
namespace {

constexpr int kPartsAtOnce = 8;

/// The ETag of an object of these parts: the MD5 of their MD5s. None where the parts' own are
/// something else, as for objects encrypted with a key of KMS.
std::optional<std::string> etag_of_parts(const std::vector<S3Part>& parts) {
  std::vector<std::byte> digests;
  for (const S3Part& part : parts) {
    std::string_view etag = part.etag;
    if (etag.starts_with('"') && etag.ends_with('"') && etag.size() > 1)
      etag = etag.substr(1, etag.size() - 2);
    if (etag.size() != 32) return std::nullopt;
    for (std::size_t i = 0; i < etag.size(); i += 2) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      const std::size_t high = kDigits.find(etag[i]);
      const std::size_t low = kDigits.find(etag[i + 1]);
      if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
      digests.push_back(static_cast<std::byte>(high * 16 + low));
    }
  }
  return fmt::format("{}-{}", to_hex(md5(digests)), parts.size());
}

bool sends_checksums(const S3Options& options) { return options.checksums.value_or(false); }

/// Adds the checksum of the body to the headers of a call, and returns it; "" where none is sent.
std::string add_checksum(S3Call& call, const S3Options& options) {
  if (!sends_checksums(options)) return "";
  std::string checksum = crc32c_text(call.body);
  call.headers.emplace_back("X-Amz-Checksum-Crc32c", checksum);
  return checksum;
}

}  // namespace

std::string crc32c_text(std::span<const std::byte> bytes) {
  const std::uint32_t number = crc32c(bytes);
  std::array<std::byte, 4> digits{};
  for (std::size_t i = 0; i < digits.size(); ++i)
    digits[i] = static_cast<std::byte>((number >> (24U - 8U * i)) & 0xFFU);
  return to_base64(digits);
}

Fields write_headers(const S3Options& options) {
  Fields headers;
  if (!options.acl.empty()) headers.emplace_back("X-Amz-Acl", options.acl);
  if (options.sse.empty()) return headers;
  // "aws:kms:KEY", where KEY may be an ARN with colons of its own.
  constexpr std::string_view kWithKey = "aws:kms:";
  const bool has_key = options.sse.starts_with(kWithKey);
  headers.emplace_back("X-Amz-Server-Side-Encryption", has_key ? "aws:kms" : options.sse);
  if (has_key)
    headers.emplace_back("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
                         options.sse.substr(kWithKey.size()));
  return headers;
}

void abort_upload(const std::shared_ptr<S3Client>& client, const std::string& key,
                  const std::string& id) noexcept {
  try {
    // Nobody can be told if this fails; a rule of the bucket then removes the parts one day.
    S3Call call;
    call.method = "DELETE";
    call.key = key;
    call.query = {{"uploadId", id}};
    call.best_effort = true;
    static_cast<void>(client->call(call));
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

S3Upload::S3Upload(std::shared_ptr<S3Client> client, std::string key, std::string where)
    : client_(std::move(client)), key_(std::move(key)), where_(std::move(where)) {
  S3Call call;
  call.method = "POST";
  call.key = key_;
  call.query = {{"uploads", ""}};
  call.headers = write_headers(client_->options());
  if (sends_checksums(client_->options())) call.headers.emplace_back("X-Amz-Checksum-Algorithm", "CRC32C");
  const S3Answer answer = client_->call(call);
  if (!answer.success()) client_->fail(answer, ErrorCode::kWriteFailed, "begin an upload", where_);
  try {
    id_ = parse_upload_id(answer.http().text, where_);
  } catch (const Error& error) {
    throw Error(ErrorCode::kWriteFailed, error.message(), where_);
  }
}

S3Upload::~S3Upload() {
  if (!completed_ && !id_.empty()) abort_upload(client_, key_, id_);
}

void S3Upload::put_part(std::size_t index, std::span<const std::byte> bytes) {
  if (index >= kMostParts)
    throw Error(ErrorCode::kWriteFailed,
                fmt::format("the object would need more than {} parts", kMostParts), where_,
                "choose smaller shards");
  S3Call call;
  call.method = "PUT";
  call.key = key_;
  call.query = {{"partNumber", std::to_string(index + 1)}, {"uploadId", id_}};
  call.body = bytes;
  std::string checksum = add_checksum(call, client_->options());
  const S3Answer answer = client_->call(call);
  if (!answer.success()) client_->fail(answer, ErrorCode::kWriteFailed, "write a part", where_);
  const std::scoped_lock lock(mutex_);
  parts_.resize(std::max(parts_.size(), index + 1));
  parts_[index] = {std::string(answer.http().header("etag")), std::move(checksum)};
  bytes_ += bytes.size();
}

void S3Upload::complete() {
  const std::string document = complete_document(parts_);
  S3Call call;
  call.method = "POST";
  call.key = key_;
  call.query = {{"uploadId", id_}};
  call.headers = {{"Content-Type", "application/xml"}};
  call.body = as_bytes(document);
  call.answers_early = true;
  const S3Answer answer = client_->call(call);
  completed_ = answer.success() && parse_complete_result(answer.http().text).has_value();
  // The answer to an attempt that did complete it may have been lost (libcurl, too, makes a second
  // one where a connection that was kept open turns out to be closed): then there is no such upload
  // any more, and the object is there.
  const bool may_be_there =
      answer.success() || answer.code() == "NoSuchUpload" || answer.outcome.attempts > 1;
  if (!completed_ && may_be_there) completed_ = is_there();
  if (!completed_) client_->fail(answer, ErrorCode::kWriteFailed, "complete an upload", where_);
}

bool S3Upload::is_there() const {
  S3Call call;
  call.method = "HEAD";
  call.key = key_;
  const S3Answer answer = client_->call(call);
  if (!answer.success() || answer.http().header("content-length") != std::to_string(bytes_))
    return false;
  const std::string_view found = answer.http().header("etag");
  const auto expected = etag_of_parts(parts_);
  return found.find(expected ? *expected : fmt::format("-{}", parts_.size())) !=
         std::string_view::npos;
}

void put_object(const std::shared_ptr<S3Client>& client, const std::string& key,
                const std::string& where, std::span<const std::byte> bytes) {
  const S3Options& options = client->options();
  if (bytes.size() <= options.largest_put) {
    S3Call call;
    call.method = "PUT";
    call.key = key;
    call.headers = write_headers(options);
    call.body = bytes;
    add_checksum(call, options);
    const S3Answer answer = client->call(call);
    if (!answer.success()) client->fail(answer, ErrorCode::kWriteFailed, "write", where);
    return;
  }
  // Parts grow where there would be too many of them.
  const std::size_t part = std::max(options.part_bytes, bytes.size() / S3Upload::kMostParts + 1);
  S3Upload upload(client, key, where);
  const auto count = static_cast<std::int64_t>((bytes.size() + part - 1) / part);
  fan_out(count, std::min(kPartsAtOnce, options.concurrency), [&](std::int64_t i) {
    const std::size_t offset = static_cast<std::size_t>(i) * part;
    upload.put_part(static_cast<std::size_t>(i),
                    bytes.subspan(offset, std::min(part, bytes.size() - offset)));
  });
  upload.complete();
}

namespace {

class S3Writer final : public ObjectWriter {
 public:
  S3Writer(std::shared_ptr<S3Client> client, std::string key, std::string where)
      : client_(std::move(client)), key_(std::move(key)), where_(std::move(where)) {}
  S3Writer(const S3Writer&) = delete;
  S3Writer& operator=(const S3Writer&) = delete;
  ~S3Writer() override {
    for (Part& part : parts_)
      if (part.under_way.valid()) part.under_way.wait();
  }

  void append(std::span<const std::byte> bytes) override {
    if (failed_)
      throw Error(ErrorCode::kWriteFailed, "an earlier part could not be written", where_);
    failed_ = true;  // unless the end is reached
    while (!bytes.empty()) {
      if (filled_ == client_->options().part_bytes) send_part();
      Part& part = parts_[at_];
      if (filled_ == 0) part.bytes.resize(client_->options().part_bytes);
      const std::size_t count = std::min(bytes.size(), part.bytes.size() - filled_);
      std::memcpy(part.bytes.data() + filled_, bytes.data(), count);
      filled_ += count;
      bytes = bytes.subspan(count);
    }
    failed_ = false;
  }

  void commit() override {
    if (failed_)
      throw Error(ErrorCode::kWriteFailed, "an earlier part could not be written", where_);
    failed_ = true;  // there is one commit
    parts_[at_].bytes.truncate(filled_);
    if (!upload_) {
      put_object(client_, key_, where_, parts_[at_].bytes.span());
      return;
    }
    send_part();
    for (Part& part : parts_) finish(part);
    upload_->complete();
  }

 private:
  struct Part {
    Buffer bytes;
    std::future<void> under_way;
  };

  static void finish(Part& part) {
    if (part.under_way.valid()) part.under_way.get();
  }

  /// Sends what is filled on its way, and makes the next buffer free.
  void send_part() {
    if (!upload_) upload_.emplace(client_, key_, where_);
    Part& part = parts_[at_];
    part.bytes.truncate(filled_);
    const auto put = [this, index = next_part_, &part] { upload_->put_part(index, part.bytes.span()); };
    try {
      part.under_way = std::async(std::launch::async, put);
    } catch (const std::system_error&) {
      put();  // where no more threads can be started, the part is waited for here
    }
    ++next_part_;
    at_ = (at_ + 1) % parts_.size();
    filled_ = 0;
    finish(parts_[at_]);
  }

  std::shared_ptr<S3Client> client_;
  std::string key_;
  std::string where_;
  std::optional<S3Upload> upload_;  ///< once there is more than one part
  std::array<Part, 3> parts_;
  std::size_t at_ = 0;      ///< the part being filled
  std::size_t filled_ = 0;  ///< bytes in it
  std::size_t next_part_ = 0;
  bool failed_ = false;
};

}  // namespace

std::unique_ptr<ObjectWriter> make_s3_writer(std::shared_ptr<S3Client> client, std::string key,
                                             std::string where) {
  return std::make_unique<S3Writer>(std::move(client), std::move(key), std::move(where));
}

}  // namespace flatfield::storage
