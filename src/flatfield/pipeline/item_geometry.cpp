#include "flatfield/pipeline/item_geometry.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>

namespace flatfield::pipeline {

ItemGeometry::ItemGeometry(const Extent3& chunk_shape, const std::optional<Extent3>& shard_shape)
    : depth(shard_shape ? kPartLevel : kDeepest),
      cell(map_axes(chunk_shape, [](std::int64_t c) { return c % 2 == 0 ? c : 2 * c; })),
      item(cell * (std::int64_t{1} << depth)),
      carry() {
  if (shard_shape)
    item = map_axes(item, *shard_shape * (std::int64_t{1} << depth),
                    [](std::int64_t a, std::int64_t b) { return std::lcm(a, b); });
  carry = floor_div(item, std::int64_t{1} << levels_per_pass());
}

std::vector<Extent3> morton_order(const Extent3& grid) {
  std::vector<Extent3> order;
  order.reserve(static_cast<std::size_t>(grid.volume()));
  for (std::int64_t i = 0; i < grid.volume(); ++i) order.push_back(morton_place(grid, i));
  return order;
}

Extent3 morton_place(const Extent3& grid, std::int64_t number) {
  // Of the indices of a cube all whose highest bit is 0 along z come first, of these all whose one along y is, and so on: how
  // many there are in the grid tells which half the place is in.
  Extent3 first;
  Extent3 end = grid;
  const int bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(std::max({grid.z, grid.y, grid.x}))));
  for (int bit = bits - 1; bit >= 0; --bit)
    for (int axis = 0; axis < 3; ++axis) {
      const std::int64_t middle = first[axis] + (std::int64_t{1} << bit);
      if (middle >= end[axis]) continue;
      Extent3 lower_end = end;
      lower_end[axis] = middle;
      const std::int64_t lower = (lower_end - first).volume();
      if (number < lower) {
        end = lower_end;
      } else {
        number -= lower;
        first[axis] = middle;
      }
    }
  return first;
}

std::vector<Extent3> pyramid_shapes(const Extent3& finest, int count) {
  std::vector<Extent3> shapes{finest};
  while (static_cast<int>(shapes.size()) < count) shapes.push_back(floor_div(shapes.back(), 2));
  return shapes;
}

int most_levels(const Extent3& finest) {
  const std::int64_t smallest = std::min({finest.z, finest.y, finest.x});
  int levels = 0;
  while ((std::int64_t{2} << levels) <= smallest) ++levels;
  return std::max(1, levels);
}

}  // namespace flatfield::pipeline
