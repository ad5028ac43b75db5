#include "flatfield/pipeline/item_geometry.h"

#include <algorithm>
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
  carry = floor_div(item, std::int64_t{1} << (depth + 1));
}

std::vector<Extent3> morton_order(const Extent3& grid) {
  const auto code = [](const Extent3& index) {
    std::uint64_t bits = 0;
    for (int bit = 0; bit < 16; ++bit)
      for (int axis = 0; axis < 3; ++axis)
        bits |= static_cast<std::uint64_t>((index[axis] >> bit) & 1) << (3 * bit + 2 - axis);
    return bits;
  };
  std::vector<Extent3> order;
  for (std::int64_t i = 0; i < grid.volume(); ++i) order.push_back(unravel(i, grid));
  std::sort(order.begin(), order.end(),
            [&](const Extent3& a, const Extent3& b) { return code(a) < code(b); });
  return order;
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
