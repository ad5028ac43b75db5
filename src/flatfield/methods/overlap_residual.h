#pragma once

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::methods {

/// How much two images of the same place differ: the median over voxels of |A - B| / ((A + B) / 2), after
/// a Gaussian of sigma 2 voxels (docs/quality.md, "Where tiles overlap"). `a` and `b` (z, y, x; same shape) are
/// smoothed in place; values are at least 0. Voxels where both are 0 are left out; NaN if there are no others.
[[nodiscard]] double overlap_residual(BlockView<float> a, BlockView<float> b,
                                      const ParallelFor& parallel_for);

}  // namespace flatfield::methods
