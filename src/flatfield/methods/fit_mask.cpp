#include "flatfield/methods/fit_mask.h"

#include <algorithm>
#include <bit>

namespace flatfield::methods {

bool FitMask::leaves_out(std::int64_t z) const {
  return std::binary_search(without_.begin(), without_.end(), z);
}

std::int64_t FitMask::count() const {
  std::int64_t count = mask_.count();
  for (const std::int64_t z : without_)
    count -= mask_.sub({{z, 0, 0}, {1, mask_.shape.y, mask_.shape.x}}).count();
  return count;
}

std::vector<std::int64_t> FitMask::plane_counts(int axis) const {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(mask_.shape[axis]));
  for (std::int64_t z = 0; z < mask_.shape.z; ++z) {
    if (leaves_out(z)) continue;
    for (std::int64_t y = 0; y < mask_.shape.y; ++y) {
      const BitRow row = mask_.row(z, y);
      if (axis != 2) {
        counts[static_cast<std::size_t>(axis == 0 ? z : y)] += row.count_set(mask_.shape.x);
        continue;
      }
      for (std::int64_t x = 0; x < mask_.shape.x; x += 64) {
        const std::int64_t n = std::min<std::int64_t>(64, mask_.shape.x - x);
        for (std::uint64_t bits = row.bits(x, n); bits != 0; bits &= bits - 1)
          ++counts[static_cast<std::size_t>(x + std::countr_zero(bits))];
      }
    }
  }
  return counts;
}

void FitMask::expand(const Box3& box, BlockView<std::uint8_t> out) const {
  mask_.sub(box).expand(out);
  for (std::int64_t z = 0; z < box.shape.z; ++z)
    if (leaves_out(box.origin.z + z))
      for (std::int64_t y = 0; y < box.shape.y; ++y) std::fill_n(out.row(z, y), box.shape.x, std::uint8_t{0});
}

}  // namespace flatfield::methods
