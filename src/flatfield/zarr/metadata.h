#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/dtype.h"
#include "flatfield/core/error.h"
#include "flatfield/core/json.h"

namespace flatfield::zarr {

using Shape = std::vector<std::int64_t>;

enum class ByteOrder : std::uint8_t { kLittle, kBig };

/// One bytes-to-bytes codec of a chain: a compressor or a checksum, by its Zarr v2 id; see
/// compressors.h for the table.
struct Compressor {
  std::string id;  ///< "blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "crc32c", ...
  int level = 1;   ///< what the compressor calls level, clevel (blosc) or acceleration (lz4)
  std::string blosc_cname = "zstd";  ///< blosc only: blosclz, lz4, lz4hc, snappy, zlib, zstd
  int blosc_shuffle = 1;             ///< blosc only: 0 none, 1 byte, 2 bit; -1 (auto) resolved
  std::int64_t blosc_blocksize = 0;  ///< blosc only: 0 = automatic

  friend bool operator==(const Compressor&, const Compressor&) = default;
};

/// An element type as Zarr v2 writes it: with its byte order.
struct StoredType {
  DType dtype = DType::kUint8;
  ByteOrder byte_order = ByteOrder::kLittle;

  friend bool operator==(const StoredType&, const StoredType&) = default;
};

/// One filter of Zarr v2: changes elements before they are compressed. See filters.h.
struct Filter {
  std::string id;          ///< "delta", "shuffle", "fixedscaleoffset", ...
  StoredType decoded;      ///< what it decodes to
  StoredType encoded;      ///< what it decodes from
  std::size_t stride = 1;  ///< shuffle only: bytes of an element
  double scale = 1.0;      ///< fixedscaleoffset only
  double offset = 0.0;     ///< fixedscaleoffset only

  friend bool operator==(const Filter&, const Filter&) = default;
};

struct ShardingCodec;

/// How an array of a given shape becomes bytes, in the order of encoding: its axes are permuted;
/// its elements become bytes, in C order and a byte order, or as a shard; these bytes pass filters
/// and compressors. Both formats of Zarr can be said in these words (order "F" of Zarr v2 is the
/// permutation that reverses the axes).
struct CodecChain {
  /// Axis i of the stored array is axis order[i]; empty = no permutation.
  std::vector<int> order;
  ByteOrder byte_order = ByteOrder::kLittle;
  /// Not null: the array is stored as a shard, and byte_order is not used.
  std::shared_ptr<const ShardingCodec> sharding;
  std::vector<Filter> filters;
  std::vector<Compressor> compressors;

  /// Compares what sharding points to.
  friend bool operator==(const CodecChain& a, const CodecChain& b);
};

/// How a shard says where its chunks are: pairs of 64-bit numbers, one per chunk in C order.
struct ShardIndexFormat {
  CodecChain codecs{{}, ByteOrder::kLittle, nullptr, {}, {Compressor{"crc32c"}}};
  bool at_end = true;  ///< behind the chunks, or before them

  friend bool operator==(const ShardIndexFormat&, const ShardIndexFormat&) = default;
};

/// `sharding_indexed` of Zarr v3.
struct ShardingCodec {
  Shape chunk_shape;  ///< divides the shape of the shard
  CodecChain codecs;  ///< of each chunk
  ShardIndexFormat index;

  friend bool operator==(const ShardingCodec&, const ShardingCodec&) = default;
};

enum class KeyEncoding : std::uint8_t {
  kV2,       ///< "0/0/0"
  kDefault,  ///< "c/0/0/0"
};

/// What an array is, whatever the format it was written in.
///
/// A *chunk* is the smallest unit that is encoded by itself, and an *object* is what has a key in
/// the store: one chunk, or in a sharded array one shard of many chunks.
struct ArrayMetadata {
  int zarr_format = 2;
  Shape shape;
  Shape chunk_shape;  ///< same length as shape, all >= 1
  /// Voxels of a shard: multiples of chunk_shape. Empty = every chunk is an object.
  ///
  /// Only a shard of which single chunks can be read: one that is itself permuted or compressed
  /// is a chunk here, and sharding a codec of it.
  Shape shard_shape;
  ShardIndexFormat shard_index;  ///< used where shard_shape is not empty
  DType dtype = DType::kUint16;
  CodecChain codecs;  ///< of a chunk
  /// size_of(dtype) bytes in native byte order; all zero where the metadata say null. Array::create
  /// takes an empty one as zero.
  std::vector<std::byte> fill_value;
  bool fill_value_is_null = false;
  KeyEncoding key_encoding = KeyEncoding::kV2;
  char separator = '/';  ///< between the parts of a key: '/' or '.'
  /// Zarr v3 only: one per axis, or none at all.
  std::vector<std::optional<std::string>> dimension_names;
  Json attributes;  ///< object; Array::create takes null as an empty one

  [[nodiscard]] int ndim() const { return static_cast<int>(shape.size()); }
  [[nodiscard]] bool is_sharded() const { return !shard_shape.empty(); }
  /// Elements of a whole chunk.
  [[nodiscard]] std::int64_t chunk_elements() const;
  [[nodiscard]] std::size_t chunk_bytes() const;
  /// Number of chunks along each axis (0 where the array is empty).
  [[nodiscard]] Shape grid_shape() const;
  /// Voxels of what has a key of its own: a shard, or a chunk.
  [[nodiscard]] const Shape& object_shape() const {
    return is_sharded() ? shard_shape : chunk_shape;
  }
  /// Chunks of a shard along each axis (all 1 without sharding).
  [[nodiscard]] Shape chunks_per_object() const;
};

/// More than this many bytes in a chunk are refused: the format of Blosc, and the arguments of the
/// other compressors, cannot hold them.
inline constexpr std::size_t kMaxChunkBytes = 0x7fffffff - 16;
/// More chunks than this in a shard are refused: their index alone would have 2 GiB.
inline constexpr std::int64_t kMaxChunksPerShard = std::int64_t{1} << 27;

/// Refuses shapes that no array can have: throws Error(`code`) that names `where` for lengths that
/// differ, negative sizes, chunks without elements, more than 32 dimensions, numbers of bytes
/// beyond 2^63, or shards that are no multiples of their chunks; Error(kUnsupported) for chunks of
/// more than kMaxChunkBytes and shards of more than kMaxChunksPerShard.
void check_shapes(const ArrayMetadata& metadata, ErrorCode code, std::string_view where);

/// Throws Error(`code`) unless a shard of `shape` can have chunks of `chunk_shape`;
/// Error(kUnsupported) for more than kMaxChunksPerShard.
void check_shard(std::span<const std::int64_t> shape, std::span<const std::int64_t> chunk_shape,
                 ErrorCode code, std::string_view where);

/// Throws Error(`code`) unless `order` is empty or names each of `ndim` axes once.
void check_order(const std::vector<int>& order, std::size_t ndim, ErrorCode code,
                 std::string_view where);

/// The permutation that reverses `ndim` axes.
[[nodiscard]] std::vector<int> reversed_axes(std::size_t ndim);

/// Key of an object relative to its array, e.g. "0/0/3/1/0" or "c/0/0/3/1/0"; `index` counts
/// objects along each axis.
[[nodiscard]] std::string object_key(const ArrayMetadata& metadata,
                                     std::span<const std::int64_t> index);
/// The index of the object with this key; none if the array has no such object.
[[nodiscard]] std::optional<Shape> object_index(const ArrayMetadata& metadata, std::string_view key);
/// Objects along each axis.
[[nodiscard]] Shape object_grid(const ArrayMetadata& metadata);
/// Objects of an array, and its chunks.
[[nodiscard]] std::int64_t object_count(const ArrayMetadata& metadata);
[[nodiscard]] std::int64_t chunk_count(const ArrayMetadata& metadata);

}  // namespace flatfield::zarr
