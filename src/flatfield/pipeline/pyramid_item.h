#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flatfield/execution/work_item.h"
#include "flatfield/pipeline/pass_memory.h"
#include "flatfield/pipeline/pyramid_pass.h"

namespace flatfield::pipeline {

/// One item of a pass. Its parts make the levels up to ItemGeometry::kPartLevel. What is above is gathered in one
/// block that they share: the item's only cell of the level after, or already its carry.
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
  [[nodiscard]] const ItemGeometry& geometry() const { return pass_.geometry(); }
  [[nodiscard]] Extent3 parts_in_volume() const;
  [[nodiscard]] int part_level() const { return std::min(ItemGeometry::kPartLevel, pass_.top()); }
  [[nodiscard]] bool gathers_a_level() const { return pass_.top() == ItemGeometry::kDeepest; }
  [[nodiscard]] bool gathers() const { return pipeline::gathers(geometry(), item_shape()); }
  [[nodiscard]] Extent3 gathered_shape() const {
    return gathers_a_level() ? geometry().cell : geometry().carry;
  }
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
  [[nodiscard]] const Block<T>& reduced(int worker) const;

  PyramidPass<T>& pass_;
  std::int64_t number_;
  Extent3 index_;
  Extent3 parts_;  ///< along each axis
  std::vector<Extent3> part_order_;
  Block<T> gathered_;
  WrittenObjects written_;
  std::unique_ptr<ItemShards> shards_;  ///< null without shards, and while the item is not open
};

extern template class PyramidItem<std::uint8_t>;
extern template class PyramidItem<std::uint16_t>;
extern template class PyramidItem<float>;

}  // namespace flatfield::pipeline
