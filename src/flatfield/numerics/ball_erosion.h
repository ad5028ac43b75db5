#pragma once

#include <cstdint>

#include "flatfield/core/block.h"

namespace flatfield::numerics {

/// skimage.morphology.binary_erosion(mask, ball(radius_voxels)), values 0/1: a voxel stays if every
/// voxel of the volume within that Euclidean distance (inclusive) is foreground. What lies beyond
/// the border counts as foreground, so a plane is eroded by a disk. Radius 0 keeps the mask; throws
/// Error(kInternal) for one outside 0..32767. About (2 * radius + 1)^2 comparisons per voxel of a
/// thick volume, 2 * radius + 1 of a plane.
[[nodiscard]] Block<std::uint8_t> erode_inside_border(BlockView<const std::uint8_t> mask,
                                                      std::int64_t radius_voxels);

}  // namespace flatfield::numerics
