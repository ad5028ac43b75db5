#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "flatfield/core/buffer.h"
#include "flatfield/storage/store.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

/// Some elements of a chunk, and where they go: elements [first, first + into.size() / itemsize) in C order.
struct ChunkPart {
  std::int64_t first = 0;
  std::span<std::byte> into;
};

struct CompressorInfo;
struct FilterInfo;

/// Reusable memory of one thread for the steps of a codec chain.
struct CodecScratch {
  Buffer stored;                           ///< a chunk in its stored order of axes and bytes
  std::array<Buffer, 2> between;           ///< what one step of the chain hands to the next
  Buffer chunk;                            ///< one chunk of a shard
  std::vector<storage::ByteRange> places;  ///< the index of a shard
  std::unique_ptr<CodecScratch> inner;     ///< for the chunks of a shard

  CodecScratch& inner_scratch() {
    if (!inner) inner = std::make_unique<CodecScratch>();
    return *inner;
  }
};

/// The codec chain of a chunk, prepared once. Immutable; may be used by several threads, each with
/// a scratch of its own. Chunks in memory are in C order, native byte order and of the full chunk
/// shape.
///
/// Errors have no place yet: Array adds the name of the object.
class ChunkCodec {
 public:
  /// For a chain that fits chunks of `shape` (the parsers and Array::create see to that);
  /// `fill_value` is one element. Throws Error(kBadInput) for filters that do not fit the chunk,
  /// Error(kUnsupported) for the index of a shard that has no fixed size.
  ChunkCodec(const CodecChain& chain, Shape shape, DType dtype, std::vector<std::byte> fill_value);
  ~ChunkCodec();
  ChunkCodec(ChunkCodec&&) noexcept;

  /// Bytes of a chunk in memory.
  [[nodiscard]] std::size_t chunk_bytes() const { return chunk_bytes_; }
  /// Bytes that every chunk is encoded to; none if that depends on its content.
  [[nodiscard]] std::optional<std::size_t> encoded_bytes() const { return encoded_bytes_; }

  /// Decodes a chunk into `into` (chunk_bytes()).
  /// Throws Error(kBadInput) if `encoded` does not decode to exactly a chunk.
  void decode(std::span<const std::byte> encoded, std::span<std::byte> into,
              CodecScratch& scratch) const;

  /// Decodes parts of a chunk: where Blosc made it and the order is C, only the blocks that hold
  /// some of them, each once; otherwise the whole chunk into `chunk` first.
  void decode_parts(std::span<const std::byte> encoded, std::span<const ChunkPart> parts,
                    CodecScratch& scratch, Buffer& chunk) const;

  /// Encodes `chunk` (chunk_bytes()). The result is in `scratch`, or is `chunk` itself if nothing
  /// has to be done. Only for chains without filters and shards.
  [[nodiscard]] std::span<const std::byte> encode(std::span<const std::byte> chunk,
                                                  CodecScratch& scratch) const;

 private:
  struct Shard;
  /// One filter or compressor.
  struct Step {
    const FilterInfo* filter_functions = nullptr;  ///< null for a compressor
    Filter filter;
    const CompressorInfo* functions = nullptr;  ///< null for a filter
    Compressor compressor;
    /// Bytes that it is decoded to, where the chunk's size alone says them.
    std::optional<std::size_t> decoded_bytes;
    std::size_t most_decoded_bytes = 0;
  };

  void add_steps(const CodecChain& chain);
  /// Undoes the steps, into `into` if they end in exactly that many bytes.
  void undo_steps(std::span<const std::byte> encoded, std::span<std::byte> into,
                  CodecScratch& scratch) const;
  [[nodiscard]] std::span<const std::byte> undo_step(const Step& step,
                                                     std::span<const std::byte> encoded,
                                                     std::span<std::byte> room) const;
  /// Undoes steps [first, steps_.size()) into the buffers of `scratch`; refuses more bytes than a compressor can be given.
  [[nodiscard]] std::span<const std::byte> undo_last_steps(std::size_t first,
                                                           std::span<const std::byte> encoded,
                                                           CodecScratch& scratch) const;
  /// Does what decode_parts can do without the whole chunk; false if that is nothing.
  [[nodiscard]] bool decode_only_parts(std::span<const std::byte> encoded,
                                       std::span<const ChunkPart> parts, CodecScratch& scratch,
                                       Buffer& block) const;
  void decode_shard(std::span<const std::byte> bytes, std::span<std::byte> into,
                    CodecScratch& scratch) const;

  Shape stored_shape_;
  std::vector<int> order_;    ///< from memory to the stored array; empty = as it is
  std::vector<int> inverse_;  ///< and back
  Shape chunk_shape_;
  std::size_t chunk_bytes_;
  std::size_t itemsize_;
  std::size_t swap_size_;  ///< unit whose bytes are reversed; 1 = none
  std::vector<std::byte> fill_value_;
  std::unique_ptr<const Shard> shard_;  ///< null unless the array is stored as a shard
  std::vector<Step> steps_;
  std::optional<std::size_t> encoded_bytes_;
};

}  // namespace flatfield::zarr
