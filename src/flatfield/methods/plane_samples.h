#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {

/// Calls `visit(plane, values)` once for each plane along `axis` (0 = z, 1 = y, 2 = x) with the masked
/// voxels of `volume` in that plane, in C order; `values` may be reordered by the callee. Calls for
/// different planes may run at the same time.
void for_each_plane_sample(
    BlockView<const float> volume, BitView mask, int axis,
    const ParallelFor& parallel_for,
    const std::function<void(std::int64_t plane, std::span<float> values)>& visit);

/// The same with a weight per voxel; `weights` has the shape of `volume`.
void for_each_weighted_plane_sample(
    BlockView<const float> volume, BlockView<const float> weights,
    BitView mask, int axis, const ParallelFor& parallel_for,
    const std::function<void(std::int64_t plane, std::span<numerics::WeightedValue> samples)>&
        visit);

/// The voxels of some planes (z indices), one plane after the other, in C order.
[[nodiscard]] std::vector<float> plane_values(BlockView<const float> volume,
                                              const std::vector<std::int64_t>& planes);

}  // namespace flatfield::methods
