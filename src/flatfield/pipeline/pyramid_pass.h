#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/execution/work_item.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/level_writer.h"
#include "flatfield/pipeline/volume_stage.h"

namespace flatfield::pipeline {

/// Up to three levels of a pyramid, written in one sweep over the finest of them, item by item
/// (pyramid_item.h). T is the levels' data type: uint8, uint16 or float.
template <class T>
class PyramidPass {
 public:
  /// The pass whose finest level is `first_level` of the target, on `workers` workers. Makes an array for the carries if
  /// there are levels after this pass. The source must outlive it. Throws Error.
  PyramidPass(VoxelSource<T>& source, const PyramidTarget& target, std::size_t first_level, int workers);

  [[nodiscard]] std::int64_t item_count() const { return ceil_div(shape(), geometry_.item).volume(); }
  /// Items of the pass, by number (0 .. item_count() - 1), which it must outlive.
  [[nodiscard]] execution::WorkItems make_items(const std::vector<std::int64_t>& numbers);
  /// Says to the source that it will be read.
  void begin() { source_.begin(); }
  /// Key of the pass in a ledger, the same in every run.
  [[nodiscard]] const std::string& ledger_key() const { return ledger_key_; }
  /// Of the items that were run, those that an earlier run had begun and not brought to an end.
  [[nodiscard]] std::int64_t repeated() const { return repeated_; }

  // For the items.

  [[nodiscard]] const ItemGeometry& geometry() const { return geometry_; }
  /// Shape of the finest level.
  [[nodiscard]] const Extent3& shape() const { return levels_.front()->volume().shape(); }
  /// Levels of the pass, less one.
  [[nodiscard]] int top() const { return static_cast<int>(levels_.size()) - 1; }
  [[nodiscard]] int workers() const { return static_cast<int>(memory_.size()); }
  [[nodiscard]] bool is_sharded() const { return is_sharded_; }
  [[nodiscard]] bool has_carry() const { return carry_.has_value(); }
  /// Whether the last level is above the parts of an item: they are gathered in its one cell there.
  [[nodiscard]] bool gathers_a_level() const { return top() == ItemGeometry::kDeepest; }
  /// "corrected level 0", for messages.
  [[nodiscard]] std::string name() const;
  /// Takes note of an item that begins with this cell of `level`: an earlier run may have begun it.
  void note_begin(int level, const Extent3& index);
  /// To be called before an object is written. Throws Error(kOutputExists) where another run has taken the place meanwhile.
  void check_own() const {
    if (ledger_) ledger_->check_again();
  }
  /// Writes the entry of an item that is done into the ledger, if there is one.
  void note_done(std::int64_t item, WrittenObjects& written);

  /// Says to `shards` which chunks make_cell will write, in the same order.
  void announce_cell(int level, const Extent3& index, ItemShards& shards) const;
  /// Makes the cell `index` of `level`, and writes its chunks and those of all cells below it. The result is the worker's
  /// until its next call.
  const Block<T>& make_cell(int level, const Extent3& index, const ChunkSink& sink, int worker);
  /// Reduces the finished cell `index` of `level` into `above`; `place` counts cells from the beginning of that.
  void reduce_into(int level, const Extent3& index, const Block<T>& cell, const Extent3& place,
                   Block<T>& above) const;
  /// Writes a cell of `level`, whose chunks are objects.
  void write_cell(int level, const Extent3& index, const Block<T>& cell, WrittenObjects& written, int worker);
  /// The worker's room for a carry that is reduced from the item's last level: as take_carry_chunk.
  Block<T>& carry_room(const Extent3& index, int worker);
  /// Leaves a chunk of the level after the last for the next pass.
  void write_carry_chunk(const Extent3& index, const Block<T>& chunk, int worker);

  /// A block that an item gathers in, its cell of the last level or a chunk of its carry; used again by later items. May be
  /// called by several workers.
  [[nodiscard]] Block<T> take_block();
  /// For chunk `index` of the level after the last; zeros, where it reaches beyond the volume.
  [[nodiscard]] Block<T> take_carry_chunk(const Extent3& index);
  void give_back(Block<T> block);

 private:
  /// Of one worker, reused from item to item.
  struct Memory {
    std::array<Block<T>, ItemGeometry::kPartLevel + 1> cells;  ///< the cell being made, per level
    ChunkMemory<T> chunks;
    Block<T> carry;
  };

  [[nodiscard]] Memory& memory(int worker) { return memory_[static_cast<std::size_t>(worker)]; }
  [[nodiscard]] LevelWriter<T>& writer(int level) const { return *levels_[static_cast<std::size_t>(level)]; }
  [[nodiscard]] bool holds_voxels(int level, const Extent3& index) const {
    // A cell may hold no voxel of its own level (an odd last plane is dropped) and yet some below it.
    return !writer(0).cell_box(index * (std::int64_t{1} << level)).empty();
  }
  /// Where a cell is reduced into: a cell of the level above it, none if the caller reduces it.
  struct Above {
    Block<T>* cell = nullptr;
    Extent3 place;  ///< counts cells from the beginning of that
  };
  void make_carry(const PyramidTarget& target);
  void make_cell_into(int level, const Extent3& index, Block<T>& out, const Above& above, const ChunkSink& sink, int worker);
  void read_cell_into(const Box3& box, Block<T>& out, const Above& above, int worker);
  void reduce(BlockView<const T> voxels, const Extent3& origin, Block<T>& above) const;
  void clear_beyond(const Extent3& index, Block<T>& chunk) const;

  VoxelSource<T>& source_;
  std::string name_;
  ItemGeometry geometry_;
  numerics::WindowReducer reducer_;
  std::size_t first_level_;
  std::string ledger_key_;
  bool is_sharded_;
  std::shared_ptr<ItemLedger> ledger_;
  bool resumed_;
  std::string stage_;  ///< of fail points: the first pass makes items, the others work on carries
  std::atomic<std::int64_t> repeated_{0};
  std::vector<std::unique_ptr<LevelWriter<T>>> levels_;
  std::optional<ome::Volume> carry_;
  std::vector<Memory> memory_;
  std::mutex spare_mutex_;
  std::vector<Block<T>> spare_;  ///< gathered blocks of items that are closed
};

extern template class PyramidPass<std::uint8_t>;
extern template class PyramidPass<std::uint16_t>;
extern template class PyramidPass<float>;

}  // namespace flatfield::pipeline
