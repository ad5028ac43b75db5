#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "flatfield/core/buffer.h"
#include "flatfield/storage/store.h"
#include "flatfield/zarr/codec.h"
#include "flatfield/zarr/shard_index.h"

namespace flatfield::zarr {

/// Memory that the indices of shards may take that are kept, per array that is open; one is, whatever its size.
inline constexpr std::int64_t kMostIndexBytes = std::int64_t{32} << 20;

/// Reads single chunks out of shards. The index of a shard is read once and kept with those of some
/// others; all members may be called from several threads. What is read must not be written at the
/// same time.
class ShardReader {
 public:
  /// For shards whose index `codec` describes.
  ShardReader(std::shared_ptr<const storage::Store> store, ShardIndexCodec codec);

  /// Reads the encoded bytes of chunk `number` (in C order) of the shard `key`; false if there is
  /// no such shard or chunk. Throws Error(kBadInput), without a place, for a damaged index: the
  /// caller adds it. What the store throws, and Error(kReadFailed) for a shard that vanished, name
  /// the shard.
  [[nodiscard]] bool get(const std::string& key, std::size_t number, Buffer& into,
                         CodecScratch& scratch) const;

  /// What get_many gives for each chunk it was asked for: its place in the list of numbers, and its
  /// encoded bytes; null for a chunk that is not there.
  using Visit = std::function<void(std::size_t, const std::span<const std::byte>*)>;

  /// Reads some chunks of a shard, in the order in which they lie in it, with few requests:
  /// neighbours together, and where they are most of the shard also what lies between them. A
  /// request is of at most 16 MiB, unless a single chunk is larger.
  void get_many(const std::string& key, std::span<const std::size_t> numbers, Buffer& into,
                CodecScratch& scratch, const Visit& visit) const;

 private:
  using Index = std::vector<storage::ByteRange>;  ///< empty: there is no such shard
  using IndexPtr = std::shared_ptr<const Index>;

  [[nodiscard]] IndexPtr index_of(const std::string& key, Buffer& into,
                                  CodecScratch& scratch) const;
  [[noreturn]] void fail_vanished(const std::string& key) const;
  [[nodiscard]] IndexPtr read_index(const std::string& key, Buffer& into,
                                    CodecScratch& scratch) const;

  std::shared_ptr<const storage::Store> store_;
  ShardIndexCodec codec_;
  std::size_t most_kept_;  ///< indices that are kept

  mutable std::mutex mutex_;
  mutable std::list<std::string> recent_;  ///< keys, the one used last first
  struct Kept {
    IndexPtr index;
    std::list<std::string>::iterator place;
  };
  mutable std::unordered_map<std::string, Kept> kept_;
};

}  // namespace flatfield::zarr
