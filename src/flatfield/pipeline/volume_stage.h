#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/execution/process_group.h"
#include "flatfield/execution/work_item.h"
#include "flatfield/numerics/window_reduce.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/item_ledger.h"
#include "flatfield/storage/store.h"

namespace flatfield::pipeline {

/// Where the voxels of the finest level of a pyramid come from.
template <class T>
class VoxelSource {
 public:
  virtual ~VoxelSource() = default;
  /// Called once before a pass reads anything, unless there is nothing for it to read; by one thread.
  virtual void begin() {}
  /// Says that `worker` will read all of `box`, in smaller boxes, before anything else.
  virtual void expect(const Box3& /*box*/, int /*worker*/) {}
  /// Fills `out` with the voxels of `box`, or with what `finish` makes them of. Called from all workers at the same
  /// time; each box once.
  virtual void read(const Box3& box, BlockView<T> out, int worker) = 0;
  /// Makes `out`, the planes `slab` of the box that `worker` read last, what they are to be; each plane once. Apart from
  /// `read`, so that what is done next with these planes finds them in the cache.
  virtual void finish(const Box3& /*slab*/, BlockView<T> /*out*/, int /*worker*/) {}
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
  std::string volume_key = "t0_c0";       ///< of the volume among those of the image, for ledger and carries
  std::shared_ptr<ItemLedger> ledger;     ///< null: nothing is noted, and everything is done
  bool resumed = false;                   ///< an earlier run may have begun items
  bool is_learnt = false;                 ///< estimate does the first pass, not apply: for messages
};

/// Key of the array of the carries from which level `level` is made.
[[nodiscard]] std::string carry_path(const PyramidTarget& target, std::size_t level);

/// Key in the ledger of the pass whose finest level is `level`, the same in every run.
[[nodiscard]] std::string pass_key(const PyramidTarget& target, std::size_t level);

/// A part of the items of a first pass: those whose number leaves the remainder `part` when it is divided by `parts`.
/// The shares of all parts are disjoint, and together all items.
struct Share {
  std::int64_t part = 0;
  std::int64_t parts = 1;
  [[nodiscard]] bool has(std::int64_t item) const { return item % parts == part; }
};

/// What became of the items of some passes. Where several processes share them, `total` and `found` are counted by the first
/// alone, for all of them, and `done` and `repeated` by each, of the items that it does itself.
struct ItemCounts {
  std::int64_t total = 0;     ///< of the share
  std::int64_t done = 0;      ///< now
  std::int64_t found = 0;     ///< done before, by the ledger
  std::int64_t repeated = 0;  ///< of those done now: begun before, and not brought to an end
};

/// How passes are run.
struct PassRun {
  execution::ThreadPool& pool;
  execution::ProcessGroup& processes;                ///< which share the items of the pass
  std::int64_t memory_bytes;
  ItemCounts& counts;                                ///< kept up to date
  std::function<void(std::int64_t bytes)> on_begin;  ///< told what the items that are to be done hold; may be empty
  execution::ItemFinished on_finished;               ///< may be empty
};

/// Streams a volume through `source` once and writes its finest levels, up to three, as far as they belong to the share
/// and are not done: the first pass. The blocks of the level after those are kept as scratch objects of each item, the
/// carry. T is the levels' data type: uint8, uint16 or float. Throws Error(kInterrupted) between two items where the
/// process was asked to stop. The processes of a run share the items: when one returns, all are done.
template <class T>
void write_first_pass(VoxelSource<T>& source, const PyramidTarget& target, const Share& share, const PassRun& run);

/// Makes the other levels from the carries. Nothing that was written to the levels is read back. Throws
/// Error(kNotFound) if items of the first pass are not done.
template <class T>
void write_later_passes(const PyramidTarget& target, const PassRun& run);

/// The passes of a pyramid, as keys of its ledger, with the number of their items.
struct PassItems {
  std::string key;
  std::int64_t items = 0;
};
[[nodiscard]] std::vector<PassItems> pyramid_passes(const PyramidTarget& target);
/// Items of the first pass that are not done, by the ledger, in order; none where no ledger is kept.
[[nodiscard]] std::vector<std::int64_t> open_items(const PyramidTarget& target);

/// Both after one another in this process alone, after which what lies below the scratch path is removed.
template <class T>
void write_pyramid(VoxelSource<T>& source, const PyramidTarget& target, execution::ThreadPool& pool,
                   std::int64_t memory_bytes, const execution::ItemFinished& on_finished);

extern template void write_first_pass(VoxelSource<std::uint8_t>&, const PyramidTarget&, const Share&, const PassRun&);
extern template void write_later_passes<std::uint8_t>(const PyramidTarget&, const PassRun&);
extern template void write_pyramid(VoxelSource<std::uint8_t>&, const PyramidTarget&, execution::ThreadPool&, std::int64_t,
                                   const execution::ItemFinished&);
extern template void write_first_pass(VoxelSource<std::uint16_t>&, const PyramidTarget&, const Share&, const PassRun&);
extern template void write_later_passes<std::uint16_t>(const PyramidTarget&, const PassRun&);
extern template void write_pyramid(VoxelSource<std::uint16_t>&, const PyramidTarget&, execution::ThreadPool&, std::int64_t,
                                   const execution::ItemFinished&);
extern template void write_first_pass(VoxelSource<float>&, const PyramidTarget&, const Share&, const PassRun&);
extern template void write_later_passes<float>(const PyramidTarget&, const PassRun&);
extern template void write_pyramid(VoxelSource<float>&, const PyramidTarget&, execution::ThreadPool&, std::int64_t,
                                   const execution::ItemFinished&);

}  // namespace flatfield::pipeline
