#pragma once

#include <cstdint>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::methods {

/// The flatfield of method `reference` (docs/methods.md 2): a measured image (1, y, x), resized to
/// `height` x `width` by a cubic spline (numerics::resize_plane) and divided by its maximum, so that it
/// lies in (0, 1]. Throws Error(kBadInput) that says how many pixels are not finite, or not greater
/// than 0 after resizing.
[[nodiscard]] Block<float> reference_flatfield(BlockView<const float> image, std::int64_t height,
                                               std::int64_t width, const ParallelFor& parallel_for);

}  // namespace flatfield::methods
