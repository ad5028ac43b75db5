#pragma once

#include <array>

#include "flatfield/core/block.h"

namespace flatfield::numerics {

/// Voxels around a box that gaussian_filter of these sigmas reaches.
[[nodiscard]] Extent3 gaussian_reach(const std::array<double, 3>& sigma_voxels);

/// gaussian_filter of a part of a volume, in place: afterwards the voxels of `inner` have the bits that
/// filtering the whole volume gives, the others any value. `seen` must hold the reach of the filter
/// around `inner`, or end where the volume does. On the calling thread.
void gaussian_filter_block(BlockView<float> seen, const Box3& inner,
                           const std::array<double, 3>& sigma_voxels);

}  // namespace flatfield::numerics
