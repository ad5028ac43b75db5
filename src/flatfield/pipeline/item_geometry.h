#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "flatfield/core/extent.h"

namespace flatfield::pipeline {

/// The geometry of the work on a pyramid (ARCHITECTURE.md, "Items").
///
/// A *cell* is the unit of arithmetic: one chunk, or two along an axis of odd chunk length, so that it
/// starts on an even index at every level. An *item* owns every object of the levels that it completes in its
/// box, whatever the number of workers, the memory or the machine. Where chunks are objects, it is 4 x 4 x 4 cells
/// of the finest level, and so 2 x 2 x 2 cells of the next and one cell of the one after. Where shards are, it is
/// the least box that has whole shards of two levels: most often 2 x 2 x 2 shards, and one of the next level.
struct ItemGeometry {
  /// Most levels below the finest that an item completes.
  static constexpr int kDeepest = 2;
  /// Items are shared by workers in parts of one cell of this level.
  static constexpr int kPartLevel = 1;

  explicit ItemGeometry(const Extent3& chunk_shape,
                        const std::optional<Extent3>& shard_shape = std::nullopt);

  int depth;      ///< levels below the finest that an item completes: 2 for chunks, 1 for shards
  Extent3 cell;   ///< voxels, at every level
  Extent3 item;   ///< voxels of the finest level
  Extent3 carry;  ///< voxels that an item leaves for the next pass, of the level after those that it completes

  /// Levels that a pass completes: the next begins with the one after them.
  [[nodiscard]] std::size_t levels_per_pass() const { return static_cast<std::size_t>(depth) + 1; }
  /// Cells of `level` in an item.
  [[nodiscard]] Extent3 cells(int level) const {
    return floor_div(item, cell * (std::int64_t{1} << level));
  }
  /// A carry is stored in chunks of this shape: cells, or the largest parts of them that carries are made of, so that what
  /// reads it cell by cell reads each chunk once.
  [[nodiscard]] Extent3 carry_chunk() const {
    return map_axes(carry, cell, [](auto whole, auto part) { return std::gcd(whole, part); });
  }
  /// Chunks of an item's carry.
  [[nodiscard]] Extent3 carry_chunks() const { return floor_div(carry, carry_chunk()); }
  /// Cells that are reduced into one of them.
  [[nodiscard]] Extent3 cells_of_carry_chunk() const { return floor_div(carry_chunk() * 2, cell); }
};

/// Indices of a grid in Morton order: neighbours in all directions are near each other in it.
[[nodiscard]] std::vector<Extent3> morton_order(const Extent3& grid);

/// The one of them at `number`, 0 .. grid.volume() - 1, without the others: the grid may be of any size.
[[nodiscard]] Extent3 morton_place(const Extent3& grid, std::int64_t number);

/// Shapes of `count` levels, each half (floor) of the one before.
[[nodiscard]] std::vector<Extent3> pyramid_shapes(const Extent3& finest, int count);

/// Most levels that a volume can have: max(1, floor(log2(smallest axis))).
[[nodiscard]] int most_levels(const Extent3& finest);

}  // namespace flatfield::pipeline
