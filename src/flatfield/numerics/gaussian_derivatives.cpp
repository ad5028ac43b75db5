#include "flatfield/numerics/gaussian_derivatives.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::numerics {
namespace {

/// The sum over the axes of term(derivative of that order along the axis), in float32.
template <class Term>
Block<float> sum_over_axes(BlockView<const float> volume, double sigma_voxels, int order, Term term,
                           const ParallelFor& parallel_for) {
  Block<float> sum(volume.shape, 0.0F);
  Block<float> derivative(volume.shape);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    parallel_for(volume.shape.z, [&](std::int64_t z) {
      for (std::int64_t y = 0; y < volume.shape.y; ++y)
        std::copy_n(volume.row(z, y), volume.shape.x, derivative.view().row(z, y));
    });
    std::array<int, 3> orders{0, 0, 0};
    orders[axis] = order;
    gaussian_derivative(derivative.view(), {sigma_voxels, sigma_voxels, sigma_voxels}, orders,
                        parallel_for);
    parallel_for(volume.shape.z, [&](std::int64_t z) {
      const float* from = derivative.plane(z).data;
      float* to = sum.plane(z).data;
      for (std::int64_t i = 0; i < volume.shape.y * volume.shape.x; ++i) to[i] += term(from[i]);
    });
  }
  return sum;
}

}  // namespace

Block<float> gaussian_gradient_magnitude(BlockView<const float> volume, double sigma_voxels,
                                         const ParallelFor& parallel_for) {
  Block<float> magnitude = sum_over_axes(
      volume, sigma_voxels, 1, [](float slope) { return slope * slope; }, parallel_for);
  parallel_for(volume.shape.z, [&](std::int64_t z) {
    float* values = magnitude.plane(z).data;
    for (std::int64_t i = 0; i < volume.shape.y * volume.shape.x; ++i)
      values[i] = std::sqrt(values[i]);
  });
  return magnitude;
}

Block<float> gaussian_laplace(BlockView<const float> volume, double sigma_voxels,
                              const ParallelFor& parallel_for) {
  return sum_over_axes(
      volume, sigma_voxels, 2, [](float curvature) { return curvature; }, parallel_for);
}

}  // namespace flatfield::numerics
