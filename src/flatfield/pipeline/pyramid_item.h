#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "flatfield/execution/work_item.h"
#include "flatfield/pipeline/pass_memory.h"
#include "flatfield/pipeline/pyramid_pass.h"

namespace flatfield::pipeline {

/// One item of a pass. Its parts make the levels up to ItemGeometry::kPartLevel. What is above is gathered in blocks
/// that they share: the item's only cell of the level after, or already the chunks of its carry, each of which is written
/// by the worker that completes it.
template <class T>
class PyramidItem : public execution::WorkItem {
 public:
  /// `index` counts items; `number` is for its name.
  PyramidItem(PyramidPass<T>& pass, std::int64_t number, const Extent3& index);

  [[nodiscard]] std::string id() const override;
  [[nodiscard]] std::int64_t peak_bytes() const override { return item_bytes(geometry(), item_shape()); }
  [[nodiscard]] std::int64_t voxel_bytes() const override;
  [[nodiscard]] std::int64_t part_count() const override { return parts_.volume(); }
  void open() override;
  void run_part(std::int64_t part, int worker) override;
  void close(int worker) override;

 private:
  /// A chunk of the carry while parts are reduced into it.
  struct CarryChunk {
    Block<T> block;               ///< empty before the first part and after the last
    std::int64_t parts_left = 0;
  };

  [[nodiscard]] const ItemGeometry& geometry() const { return pass_.geometry(); }
  [[nodiscard]] Extent3 parts_in_volume() const;
  [[nodiscard]] int part_level() const { return std::min(ItemGeometry::kPartLevel, pass_.top()); }
  [[nodiscard]] bool gathers_carry() const { return open_carry_chunks(geometry(), item_shape()) > 0; }
  [[nodiscard]] bool is_inside() const {
    return tile_box(index_, geometry().item, pass_.shape()).shape == geometry().item;
  }
  [[nodiscard]] ItemShape item_shape() const;
  /// Cell of part_level() that a part makes, counted from the beginning of the item.
  [[nodiscard]] Extent3 place_of(std::int64_t part) const {
    return part_order_[static_cast<std::size_t>(part)];
  }
  [[nodiscard]] Extent3 cell_of(std::int64_t part) const {
    return index_ * geometry().cells(part_level()) + place_of(part);
  }
  /// Chunk of the carry that a part is reduced into, counted from the beginning of the item.
  [[nodiscard]] Extent3 carry_place_of(std::int64_t part) const {
    return floor_div(place_of(part), geometry().cells_of_carry_chunk());
  }
  [[nodiscard]] CarryChunk& carry_chunk_of(std::int64_t part);
  void add_to_carry(std::int64_t part, const Block<T>& cell, int worker);
  void leave_carry(int worker);

  PyramidPass<T>& pass_;
  std::int64_t number_;
  Extent3 index_;
  Extent3 parts_;  ///< along each axis
  std::vector<Extent3> part_order_;
  Block<T> gathered_;  ///< the cell of the level after the parts'
  std::vector<CarryChunk> carry_chunks_;  ///< by their places
  std::mutex carry_mutex_;
  WrittenObjects written_;
  std::unique_ptr<ItemShards> shards_;  ///< null without shards, and while the item is not open
};

extern template class PyramidItem<std::uint8_t>;
extern template class PyramidItem<std::uint16_t>;
extern template class PyramidItem<float>;

}  // namespace flatfield::pipeline
