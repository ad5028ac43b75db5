#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "flatfield/storage/s3_client.h"
#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// A multipart upload: parts in any order and at the same time, then the whole object at once.
/// One that is not completed is aborted, so that its parts do not go on costing money.
class S3Upload {
 public:
  /// S3 takes no more parts than that.
  static constexpr std::size_t kMostParts = 10'000;

  /// Begins the upload. Throws Error(kWriteFailed).
  S3Upload(std::shared_ptr<S3Client> client, std::string key, std::string where);
  ~S3Upload();
  S3Upload(const S3Upload&) = delete;
  S3Upload& operator=(const S3Upload&) = delete;

  /// Uploads part `index` (from 0); all but the last have at least 5 MiB.
  /// May be called from several threads at once. Throws Error(kWriteFailed).
  void put_part(std::size_t index, std::span<const std::byte> bytes);
  /// Makes the object of all parts. Throws Error(kWriteFailed).
  void complete();

 private:
  [[nodiscard]] bool is_there() const;

  std::shared_ptr<S3Client> client_;
  std::string key_;
  std::string where_;
  std::string id_;
  bool completed_ = false;
  std::mutex mutex_;
  std::vector<S3Part> parts_;
  std::uint64_t bytes_ = 0;
};

/// Gives up an upload that was begun; a failure of this is not told.
void abort_upload(const std::shared_ptr<S3Client>& client, const std::string& key,
                  const std::string& id) noexcept;

/// The CRC-32C of bytes as S3 has it: the number from its highest byte on, in base64.
[[nodiscard]] std::string crc32c_text(std::span<const std::byte> bytes);

/// Headers of an object that is written: encryption and access as the options say.
[[nodiscard]] Fields write_headers(const S3Options& options);

/// Writes an object whose bytes are in memory: at once, or a large one in parts, several at a time.
/// Throws Error(kWriteFailed).
void put_object(const std::shared_ptr<S3Client>& client, const std::string& key,
                const std::string& where, std::span<const std::byte> bytes);

/// Writes an object piece by piece; holds at most three parts (`S3Options::part_bytes`), of which
/// two are under way.
[[nodiscard]] std::unique_ptr<ObjectWriter> make_s3_writer(std::shared_ptr<S3Client> client,
                                                           std::string key, std::string where);

}  // namespace flatfield::storage
