#include "flatfield/numerics/ball_erosion.h"

#include <algorithm>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

/// Steps from every voxel of a row to the nearest background of the row, at most `most`.
void row_distances(const std::uint8_t* mask, std::int64_t width, std::int32_t most,
                   std::int32_t* steps) {
  std::int32_t count = most;
  for (std::int64_t x = 0; x < width; ++x) {
    count = mask[x] == 0 ? 0 : std::min(count + 1, most);
    steps[x] = count;
  }
  count = most;
  for (std::int64_t x = width - 1; x >= 0; --x) {
    count = mask[x] == 0 ? 0 : std::min(count + 1, most);
    steps[x] = std::min(steps[x], count);
  }
}

/// Half the width of the ball's row at this squared distance from its centre.
std::int32_t half_width(std::int64_t squared_radius, std::int64_t squared_distance) {
  std::int32_t w = 0;
  while (static_cast<std::int64_t>(w + 1) * (w + 1) + squared_distance <= squared_radius) ++w;
  return w;
}

}  // namespace

Block<std::uint8_t> erode_inside_border(BlockView<const std::uint8_t> mask,
                                        std::int64_t radius_voxels) {
  constexpr std::int64_t kLargestRadius = 32767;
  if (radius_voxels < 0 || radius_voxels > kLargestRadius)
    throw Error(ErrorCode::kInternal, "erode_inside_border: a radius of " +
                                          std::to_string(radius_voxels) + " is not within 0.." +
                                          std::to_string(kLargestRadius));
  const Extent3& shape = mask.shape;
  Block<std::uint8_t> out(shape, 1);
  Block<std::int32_t> steps(shape);
  for (std::int64_t z = 0; z < shape.z; ++z)
    for (std::int64_t y = 0; y < shape.y; ++y)
      row_distances(mask.row(z, y), shape.x, static_cast<std::int32_t>(radius_voxels + 1),
                    steps.view().row(z, y));

  const std::int64_t squared_radius = radius_voxels * radius_voxels;
  const auto reach = [&](std::int64_t length) { return std::min(radius_voxels, length - 1); };
  for (std::int64_t dz = -reach(shape.z); dz <= reach(shape.z); ++dz)
    for (std::int64_t dy = -reach(shape.y); dy <= reach(shape.y); ++dy) {
      if (dz * dz + dy * dy > squared_radius) continue;
      const std::int32_t w = half_width(squared_radius, dz * dz + dy * dy);
      for (std::int64_t z = std::max<std::int64_t>(0, -dz);
           z < shape.z - std::max<std::int64_t>(0, dz); ++z)
        for (std::int64_t y = std::max<std::int64_t>(0, -dy);
             y < shape.y - std::max<std::int64_t>(0, dy); ++y) {
          const std::int32_t* from = steps.view().row(z + dz, y + dy);
          std::uint8_t* to = out.view().row(z, y);
          for (std::int64_t x = 0; x < shape.x; ++x)
            to[x] = static_cast<std::uint8_t>(to[x] & static_cast<std::uint8_t>(from[x] > w));
        }
    }
  return out;
}

}  // namespace flatfield::numerics
