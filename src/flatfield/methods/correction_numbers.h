#pragma once

#include <optional>

#include "flatfield/core/block.h"
#include "flatfield/methods/axis_fit.h"
#include "flatfield/methods/correction.h"
#include "flatfield/methods/quality.h"

namespace flatfield::methods {

/// What an image flatfield F looks like, on F / mean(F); the mean is greater than 0.
struct FlatNumbers {
  double deviation = 0.0;  ///< standard deviation
  double span = 0.0;       ///< largest less smallest value
  double least = 0.0;      ///< smallest value
};
[[nodiscard]] FlatNumbers flat_numbers(const Block<float>& flatfield);

/// The quality numbers of a correction itself, whatever it is applied to: of its background, its curves (`fit` knows their
/// limits) and its flatfield.
void measure_correction(const Correction& correction, const std::optional<AxisFit>& fit, QualityNumbers& out);

}  // namespace flatfield::methods
