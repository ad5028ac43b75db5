#include "flatfield/numerics/gaussian_block.h"

#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::numerics {

Extent3 gaussian_reach(const std::array<double, 3>& sigma_voxels) {
  const auto reach = [&](std::size_t axis) {
    return static_cast<std::int64_t>(gaussian_kernel(sigma_voxels[axis]).size() / 2);
  };
  return {reach(0), reach(1), reach(2)};
}

void gaussian_filter_block(BlockView<float> seen, const Box3& inner,
                           const std::array<double, 3>& sigma_voxels) {
  // One axis after the other, each on what the next ones still need of it.
  Box3 needed{{0, 0, 0}, seen.shape};
  for (int axis = 0; axis < 3; ++axis) {
    gaussian_filter_axis(seen.sub(needed), axis, sigma_voxels[static_cast<std::size_t>(axis)], inner.origin[axis],
                         inner.end()[axis], serial_for);
    needed.origin[axis] = inner.origin[axis];
    needed.shape[axis] = inner.shape[axis];
  }
}

}  // namespace flatfield::numerics
