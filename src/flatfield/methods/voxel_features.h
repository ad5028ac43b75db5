#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/numerics/feature_samples.h"

namespace flatfield::methods {

/// The features of some whole planes, (planes, y, x) each: intensity; Gaussian mean m of sigma 1;
/// local standard deviation sqrt(max(G(v^2) - m^2, 0)); Gaussian gradient magnitude; minus the
/// Laplacian of Gaussian.
struct FeatureSlab {
  std::int64_t first_plane = 0;
  std::array<BlockView<const float>, numerics::kFeatureCount> features;
};

/// Calls `visit` with the features of all planes of `v_low`, slab after slab in ascending z, from
/// this thread; the views are gone after the call. The values are those of scipy.ndimage on the
/// whole volume, in float32, whatever the slabs. In memory at once: 5 volumes of 40 planes.
void for_each_feature_slab(BlockView<const float> v_low, const ParallelFor& parallel_for,
                           const std::function<void(const FeatureSlab&)>& visit);

}  // namespace flatfield::methods
