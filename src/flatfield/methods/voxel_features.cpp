#include "flatfield/methods/voxel_features.h"

#include <algorithm>
#include <cmath>

#include "flatfield/numerics/gaussian_derivatives.h"
#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::methods {
namespace {

constexpr double kSigma = 1.0;
/// Planes beyond a slab that its filters see: the radius of the kernels.
constexpr std::int64_t kHalo = 4;
constexpr std::int64_t kSlabPlanes = 32;

/// to = f(from), voxel by voxel; `to` is contiguous.
template <class F>
void transform_planes(BlockView<const float> from, Block<float>& to,
                      const ParallelFor& parallel_for, F f) {
  parallel_for(from.shape.z, [&](std::int64_t z) {
    for (std::int64_t y = 0; y < from.shape.y; ++y) {
      const float* row = from.row(z, y);
      float* out = to.view().row(z, y);
      for (std::int64_t x = 0; x < from.shape.x; ++x) out[x] = f(row[x], out[x]);
    }
  });
}

Block<float> smoothed(Block<float> volume, const ParallelFor& parallel_for) {
  numerics::gaussian_filter(volume.view(), {kSigma, kSigma, kSigma}, parallel_for);
  return volume;
}

}  // namespace

void for_each_feature_slab(BlockView<const float> v_low, const ParallelFor& parallel_for,
                           const std::function<void(const FeatureSlab&)>& visit) {
  const Extent3& shape = v_low.shape;
  for (std::int64_t first = 0; first < shape.z; first += kSlabPlanes) {
    const std::int64_t last = std::min(first + kSlabPlanes, shape.z);
    const std::int64_t from = std::max<std::int64_t>(first - kHalo, 0);
    const std::int64_t to = std::min(last + kHalo, shape.z);
    const BlockView<const float> seen = v_low.sub({{from, 0, 0}, {to - from, shape.y, shape.x}});

    Block<float> mean(seen.shape);
    transform_planes(seen, mean, parallel_for, [](float v, float) { return v; });
    mean = smoothed(std::move(mean), parallel_for);
    Block<float> deviation(seen.shape);
    transform_planes(seen, deviation, parallel_for, [](float v, float) { return v * v; });
    deviation = smoothed(std::move(deviation), parallel_for);
    transform_planes(
        std::as_const(mean).view(), deviation, parallel_for,
        [](float m, float squares) { return std::sqrt(std::max(squares - m * m, 0.0F)); });
    const Block<float> slope = numerics::gaussian_gradient_magnitude(seen, kSigma, parallel_for);
    Block<float> curvature = numerics::gaussian_laplace(seen, kSigma, parallel_for);
    transform_planes(std::as_const(curvature).view(), curvature, parallel_for,
                     [](float c, float) { return -c; });

    const Box3 inner{{first - from, 0, 0}, {last - first, shape.y, shape.x}};
    visit({first,
           {seen.sub(inner), std::as_const(mean).view().sub(inner),
            std::as_const(deviation).view().sub(inner), slope.view().sub(inner),
            std::as_const(curvature).view().sub(inner)}});
  }
}

}  // namespace flatfield::methods
