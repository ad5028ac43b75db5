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
  /// Says that `worker` will read all of `box`, in smaller boxes, before anything else.
  virtual void expect(const Box3& /*box*/, int /*worker*/) {}
  /// Fills `out` with the voxels of `box`. Called from all workers at the same time; each box once.
  virtual void read(const Box3& box, BlockView<T> out, int worker) = 0;
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

}  // namespace flatfield::pipeline
