#pragma once

#include <cstdint>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::numerics {

/// scipy.ndimage.binary_erosion(mask, skimage.morphology.ball(radius_voxels)), values 0/1: a voxel
/// stays if every voxel within that Euclidean distance (inclusive) is foreground; what lies beyond
/// the border counts as background. Radius 0 keeps the mask; throws Error(kInternal) for a
/// negative one.
///
/// By squared distances, capped just above the radius, one axis after the other: 4 * radius
/// comparisons per voxel. Each running thread holds (16 + 2 * radius) * z rows of x as int32.
[[nodiscard]] Block<std::uint8_t> erode_by_ball(BlockView<const std::uint8_t> mask,
                                                std::int64_t radius_voxels,
                                                const ParallelFor& parallel_for);

}  // namespace flatfield::numerics
