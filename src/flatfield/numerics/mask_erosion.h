#pragma once

#include <cstdint>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/parallel.h"

namespace flatfield::numerics {

/// What the voxels beyond the border of a volume count as.
enum class BeyondBorder { kBackground, kForeground };

/// scipy.ndimage.binary_erosion(mask, skimage.morphology.ball(radius_voxels), border_value=beyond):
/// a voxel stays if every voxel within that Euclidean distance (inclusive) is
/// foreground. With kForeground a plane is eroded by a disk, as skimage.morphology.binary_erosion
/// does it. Radius 0 keeps the mask; throws Error(kInternal) for a negative one.
///
/// By squared distances, capped just above the radius, one axis after the other: 4 * radius
/// comparisons per voxel. Each running thread takes erosion_bytes, however many planes there are.
[[nodiscard]] BitVolume erode_by_ball(BitView mask, std::int64_t radius_voxels,
                                      const ParallelFor& parallel_for,
                                      BeyondBorder beyond = BeyondBorder::kBackground);
[[nodiscard]] std::int64_t erosion_bytes(const Extent3& shape, std::int64_t radius_voxels);

}  // namespace flatfield::numerics
