#include "flatfield/numerics/nearest_resize.h"

#include <algorithm>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::numerics {

std::vector<std::int64_t> nearest_indices(std::int64_t source, std::int64_t target) {
  if (source <= 0 || target < 0)
    throw Error(ErrorCode::kInternal, "nearest_indices: cannot resize an axis of " +
                                          std::to_string(source) + " samples to " +
                                          std::to_string(target));
  std::vector<std::int64_t> indices(static_cast<std::size_t>(target));
  for (std::int64_t o = 0; o < target; ++o)
    indices[static_cast<std::size_t>(o)] =
        std::min(((2 * o + 1) * source) / (2 * target), source - 1);
  return indices;
}

BitVolume nearest_resize(BitView mask, const Extent3& shape) {
  const std::vector<std::int64_t> from_z = nearest_indices(mask.shape.z, shape.z);
  const std::vector<std::int64_t> from_y = nearest_indices(mask.shape.y, shape.y);
  const std::vector<std::int64_t> from_x = nearest_indices(mask.shape.x, shape.x);
  BitVolume out(shape);
  if (out.empty()) return out;

  // When enlarging, most planes and rows repeat the one before: those are copied, not sampled
  // again.
  std::vector<std::uint8_t> sampled(from_x.size());
  for (std::int64_t z = 0; z < shape.z; ++z) {
    const std::int64_t source_z = from_z[static_cast<std::size_t>(z)];
    const bool repeats_plane = z > 0 && source_z == from_z[static_cast<std::size_t>(z - 1)];
    for (std::int64_t y = 0; y < shape.y; ++y) {
      const std::int64_t source_y = from_y[static_cast<std::size_t>(y)];
      if (repeats_plane) {
        out.copy_row(z - 1, y, z, y);
      } else if (y > 0 && source_y == from_y[static_cast<std::size_t>(y - 1)]) {
        out.copy_row(z, y - 1, z, y);
      } else {
        const BitRow source = mask.row(source_z, source_y);
        std::transform(from_x.begin(), from_x.end(), sampled.begin(),
                       [&](std::int64_t x) { return static_cast<std::uint8_t>(source[x]); });
        out.set_row(z, y, 0, sampled.data(), shape.x);
      }
    }
  }
  return out;
}

}  // namespace flatfield::numerics
