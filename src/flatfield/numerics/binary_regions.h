#pragma once

#include <cstdint>

#include "flatfield/core/bit_volume.h"

namespace flatfield::numerics {

// Neighbours share a face (6-connectivity). Regions are found by two sweeps over the runs of voxels along x,
// the first of which joins what touches by a union-find. In memory are the runs of two planes (24 bytes each)
// and 8 bytes for every run that touches none of an earlier row: next to nothing for a segmentation, a
// third of a byte per voxel for noise. A run needs a gap, so it is never more than the 4 bytes per voxel of
// a volume of labels.

/// Clears every voxel outside the `count` largest connected regions. Of regions of equal size the one that
/// comes first in C order wins. Returns the number of regions there were. The regions are those of
/// scipy.ndimage.label with its default structure.
std::int64_t keep_largest_regions(BitVolume& mask, int count);

/// scipy.ndimage.binary_fill_holes with the default structure: sets every region of clear voxels that does
/// not touch the border of the volume (an axis of length 1 or 2 is all border).
void fill_holes(BitVolume& mask);

}  // namespace flatfield::numerics
