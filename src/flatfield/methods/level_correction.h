#pragma once

#include <optional>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/methods/axis_fit.h"
#include "flatfield/methods/correction.h"

namespace flatfield::methods {

/// What the correction makes of a background-subtracted level `v_low` (z, y, x) of the volume: what
/// quality "after" is measured on. Float32, not rounded, clipped to [0, 65535].
///
/// Curves: inside the mask (same shape as `v_low`) the product of `v_low` with the reciprocals of
/// the curves of `fit`, evaluated at the level's own length, and with the ratio. An image
/// flatfield: (v_low - D) / F with F and D resized to the level (numerics::resize_plane). Neither:
/// a copy. Throws Error(kInternal) for curves without a fit, or a mask of another shape.
[[nodiscard]] Block<float> corrected_level(const Correction& correction,
                                           const std::optional<AxisFit>& fit,
                                           BlockView<const float> v_low,
                                           const ParallelFor& parallel_for);

}  // namespace flatfield::methods
