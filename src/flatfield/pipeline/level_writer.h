#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/item_shards.h"

namespace flatfield::pipeline {

/// Memory of one worker for writing chunks, reused from chunk to chunk.
template <class T>
struct ChunkMemory {
  zarr::ChunkScratch scratch;
  Block<T> chunk;  ///< a chunk that is not a whole cell
};

/// Where the chunks of an item go.
struct ChunkSink {
  ItemShards* shards;       ///< null without shards: chunks are objects
  WrittenObjects& written;  ///< where objects are noted that are no shards
};

/// Writes one level of a pyramid, cell by cell. Chunks of only zeros and of only ones are encoded once: masks are
/// made of them, and so is what the background leaves. T is the level's data type: uint8, uint16 or float.
template <class T>
class LevelWriter {
 public:
  /// `level` is the number of the level in its image, `cell` a chunk, or two along some axes. Without
  /// `write_empty_chunks` chunks of zeros are left out. What `check` throws keeps a chunk that is an object from being
  /// written. Tests may have the process killed at `fail_point` each time that a chunk was written.
  LevelWriter(int level, ome::Volume volume, const Extent3& cell, bool write_empty_chunks, std::function<void()> check,
              std::string fail_point)
      : level_(level),
        volume_(std::move(volume)),
        cell_(cell),
        write_empty_(write_empty_chunks),
        check_(std::move(check)),
        fail_point_(std::move(fail_point)) {}

  [[nodiscard]] int level() const { return level_; }

  [[nodiscard]] const ome::Volume& volume() const { return volume_; }
  /// Place in the volume of the cell at `index`; less than a cell at the edge, or nothing.
  [[nodiscard]] Box3 cell_box(const Extent3& index) const {
    return tile_box(index, cell_, volume_.shape());
  }

  /// Writes the chunks of a cell, whose place in the volume is `box`. May be called by several workers.
  void write(const Box3& box, const Block<T>& cell, const ChunkSink& sink, ChunkMemory<T>& memory);

  /// Calls `visit` for the chunks that `write` writes, in the same order.
  template <class Visit>
  void for_each_chunk(const Box3& box, Visit visit) const {
    if (box.empty()) return;
    const Extent3 first = floor_div(box.origin, volume_.chunk_shape());
    const Extent3 count = ceil_div(box.end(), volume_.chunk_shape()) - first;
    for (std::int64_t i = 0; i < count.volume(); ++i) visit(first + unravel(i, count));
  }

 private:
  /// An encoded chunk that is the same everywhere.
  struct ConstantChunk {
    std::once_flag made;
    std::vector<std::byte> encoded;
    std::uint32_t crc32c = 0;
  };

  void write_chunk(const Extent3& index, const Block<T>& chunk, const ChunkSink& sink, ChunkMemory<T>& memory);
  void store(const Extent3& index, std::span<const std::byte> encoded, std::optional<std::uint32_t> known_crc32c,
             const ChunkSink& sink);

  int level_;
  ome::Volume volume_;
  Extent3 cell_;
  bool write_empty_;
  std::function<void()> check_;
  std::string fail_point_;
  std::array<ConstantChunk, 2> constant_;  ///< of zeros, of ones
};

extern template class LevelWriter<std::uint8_t>;
extern template class LevelWriter<std::uint16_t>;
extern template class LevelWriter<float>;

}  // namespace flatfield::pipeline
