#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/core/bit_volume.h"

namespace flatfield::numerics {

/// Source index of each of `target` samples along an axis of `source` samples, pixel-centre
/// nearest: min(((2o + 1) * source) div (2 * target), source - 1), in integers. Throws
/// Error(kInternal) if source < 1 or target < 0.
[[nodiscard]] std::vector<std::int64_t> nearest_indices(std::int64_t source, std::int64_t target);

/// Nearest-neighbour resize of a mask by nearest_indices along each axis; may also shrink it.
[[nodiscard]] BitVolume nearest_resize(BitView mask, const Extent3& shape);

}  // namespace flatfield::numerics
