#pragma once

#include <array>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::numerics {

/// Weights, for a correlation, of scipy.ndimage's Gaussian of order 0 or its first or second
/// derivative: radius int(truncate * sigma + 0.5), the Gaussian normalised to sum 1, symmetric
/// (order 1: antisymmetric); index `radius` is the centre. {1} for sigma <= 0. Throws
/// Error(kInternal) for a sigma or truncate that is not finite, a negative truncate, or another
/// order, Error(kUsage) for a radius above 1e7.
[[nodiscard]] std::vector<double> gaussian_kernel(double sigma_voxels, double truncate = 4.0,
                                                  int order = 0);

/// In place scipy.ndimage.gaussian_filter(volume, sigma, mode="reflect", truncate=4.0) of a
/// (z, y, x) volume: axes in the order z, y, x, an axis of sigma 0 is left out, each pass
/// accumulated in double in scipy's order and stored as float32. Reflection is half-sample
/// (d c b a | a b c d | d c b a) and repeats where the radius exceeds the axis. Agrees with scipy
/// bit for bit in all but 1e-4 of the values, and within 1 ulp everywhere; does not depend on the
/// number of threads. A plane is a volume of one z index and sigma_voxels[0] = 0.
/// Each running thread needs memory for 2 * radius + 1 short stretches of a row, or for one row
/// along x; there is no second volume.
void gaussian_filter(BlockView<float> volume, const std::array<double, 3>& sigma_voxels,
                     const ParallelFor& parallel_for);

/// The pass of gaussian_filter along one axis (0 = z), of which the samples [begin, end) alone are written, each with
/// the bits that the whole pass gives it.
void gaussian_filter_axis(BlockView<float> volume, int axis, double sigma_voxels, std::int64_t begin, std::int64_t end,
                          const ParallelFor& parallel_for);

/// gaussian_filter with scipy's `order` per axis: 0 smooths, 1 and 2 take that derivative of the
/// smoothed volume. An axis of sigma 0 is left out whatever its order. The same agreement, where
/// the sums do not cancel.
void gaussian_derivative(BlockView<float> volume, const std::array<double, 3>& sigma_voxels,
                         const std::array<int, 3>& orders, const ParallelFor& parallel_for);

}  // namespace flatfield::numerics
