#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "flatfield/storage/store.h"
#include "flatfield/zarr/codec.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

/// The place of a chunk that a shard does not have.
inline constexpr storage::ByteRange kAbsentChunk{std::numeric_limits<std::uint64_t>::max(),
                                                 std::numeric_limits<std::uint64_t>::max()};

[[nodiscard]] inline bool is_absent(const storage::ByteRange& place) {
  return place.offset == kAbsentChunk.offset && place.length == kAbsentChunk.length;
}

/// The index of the shards of an array, prepared once. Immutable.
class ShardIndexCodec {
 public:
  /// For shards of `grid` chunks. Throws Error(kUnsupported), without a place, for codecs that make
  /// no fixed size.
  ShardIndexCodec(const ShardIndexFormat& format, const Shape& grid);

  /// Size of an index in the store.
  [[nodiscard]] std::size_t encoded_bytes() const { return encoded_bytes_; }
  [[nodiscard]] bool is_at_end() const { return at_end_; }
  /// Chunks of a shard.
  [[nodiscard]] std::size_t size() const { return codec_.chunk_bytes() / kEntryBytes; }

  /// Where the chunks of a shard of `object_bytes` bytes are, in C order, or kAbsentChunk. Throws
  /// Error(kBadInput), without a place, for an index that is damaged, or that points out of the
  /// object or at more than 2 GiB.
  void decode(std::span<const std::byte> encoded, std::uint64_t object_bytes, CodecScratch& scratch,
              std::vector<storage::ByteRange>& places) const;

  /// The index of a shard with chunks at `places`. The result lives in `scratch`.
  [[nodiscard]] std::span<const std::byte> encode(std::span<const storage::ByteRange> places,
                                                  CodecScratch& scratch) const;

 private:
  static constexpr std::size_t kEntryBytes = 16;  ///< offset and length

  ChunkCodec codec_;  ///< of the numbers as an array of uint64 with one more axis
  std::size_t encoded_bytes_;
  bool at_end_;
};

}  // namespace flatfield::zarr
