#pragma once

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::methods {

/// Cleans a segmentation in place: the 2 largest 6-connected regions, holes filled (docs/methods.md 4.1).
/// Throws Error(kBadInput) if there is no foreground voxel at all.
void clean_mask(BitVolume& mask);

/// Clears the voxels of a mask of the estimation level where `v_low`, of the same shape, is 0.
void clear_where_zero(BitVolume& mask, BlockView<const float> v_low, const ParallelFor& parallel_for);

}  // namespace flatfield::methods
