#pragma once

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::numerics {

// Both take mode="reflect" and truncate=4.0 of scipy.ndimage, store float32 after every pass and
// sum float32 in the order z, y, x, as scipy does for float32 input. They hold the result and one
// more volume of its size.

/// scipy.ndimage.gaussian_gradient_magnitude(volume, sigma_voxels): the length of the gradient of
/// the smoothed volume, per voxel.
[[nodiscard]] Block<float> gaussian_gradient_magnitude(BlockView<const float> volume,
                                                       double sigma_voxels,
                                                       const ParallelFor& parallel_for);

/// scipy.ndimage.gaussian_laplace(volume, sigma_voxels): the sum of the three second derivatives
/// of the smoothed volume, per voxel squared.
[[nodiscard]] Block<float> gaussian_laplace(BlockView<const float> volume, double sigma_voxels,
                                            const ParallelFor& parallel_for);

}  // namespace flatfield::numerics
