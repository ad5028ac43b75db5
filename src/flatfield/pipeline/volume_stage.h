#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/execution/work_item.h"
#include "flatfield/numerics/window_reduce.h"
#include "flatfield/ome/volume.h"
#include "flatfield/storage/store.h"

namespace flatfield::pipeline {

/// Where the voxels of the finest level of a pyramid come from.
template <class T>
class VoxelSource {
 public:
  virtual ~VoxelSource() = default;
  /// Fills `out` with the voxels of `box`. Called from all workers at the same time; each box once.
  virtual void read(const Box3& box, BlockView<T> out, int worker) = 0;
};

/// The geometry of the work on a pyramid (ARCHITECTURE.md, "Items").
///
/// A *cell* is the unit of arithmetic: one chunk, or two along an axis of odd chunk length, so that it
/// starts on an even index at every level. An *item* owns every object of the levels that it completes in its
/// box, whatever the number of workers, the memory or the machine. Where chunks are objects, it is 4 x 4 x 4 cells
/// of the finest level, and so 2 x 2 x 2 cells of the next and one cell of the one after. Where shards are, it is
/// the least box that has whole shards of two levels: most often 2 x 2 x 2 shards, and one of the next level.
struct ItemGeometry {
  explicit ItemGeometry(const Extent3& chunk_shape,
                        const std::optional<Extent3>& shard_shape = std::nullopt);

  int depth;      ///< levels below the finest that an item completes: 2 for chunks, 1 for shards
  Extent3 cell;   ///< voxels, at every level
  Extent3 item;   ///< voxels of the finest level
  Extent3 carry;  ///< voxels of level depth + 1 that an item leaves for the next pass
};

/// A pyramid to write: one volume (z, y, x) per level, finest first, each half (floor) the one before.
struct PyramidTarget {
  std::string name;                 ///< for messages, e.g. "corrected"
  std::vector<ome::Volume> levels;
  numerics::WindowReducer reducer;
  Extent3 chunk_shape;              ///< of all levels; a level smaller than a chunk has clipped chunks
  std::optional<Extent3> shard_shape;  ///< of all levels, clipped in the same way; none = no shards
  bool write_empty_chunks = true;  ///< false: chunks of zeros, the fill value, are left out
  std::shared_ptr<storage::Store> store;  ///< where the carries go while the pyramid is written
  std::string scratch_path;               ///< key of their group in `store`
};

/// Streams a volume through `source` once and writes all levels, in passes of up to three levels; the blocks
/// of the level after those are kept as scratch objects of each item, the carry, from which the next pass
/// goes on. Nothing that was written to the levels is read back. Scratch objects are removed at the end.
/// T is the levels' data type: uint8, uint16 or float.
template <class T>
void write_pyramid(VoxelSource<T>& source, const PyramidTarget& target, execution::ThreadPool& pool,
                   std::int64_t memory_bytes, const execution::ItemFinished& on_finished);

extern template void write_pyramid(VoxelSource<std::uint8_t>&, const PyramidTarget&,
                                   execution::ThreadPool&, std::int64_t,
                                   const execution::ItemFinished&);
extern template void write_pyramid(VoxelSource<std::uint16_t>&, const PyramidTarget&,
                                   execution::ThreadPool&, std::int64_t,
                                   const execution::ItemFinished&);
extern template void write_pyramid(VoxelSource<float>&, const PyramidTarget&, execution::ThreadPool&,
                                   std::int64_t, const execution::ItemFinished&);

/// Shapes of `count` levels, each half (floor) of the one before.
[[nodiscard]] std::vector<Extent3> pyramid_shapes(const Extent3& finest, int count);

/// Most levels that a volume can have: max(1, floor(log2(smallest axis))).
[[nodiscard]] int most_levels(const Extent3& finest);

}  // namespace flatfield::pipeline
