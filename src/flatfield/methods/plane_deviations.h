#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/methods/level_stream.h"
#include "flatfield/numerics/exact_moments.h"

namespace flatfield::methods {

/// Some rows of a level: those whose number, modulo `period`, is less than `count`; of a level of few rows all.
struct RowSample {
  std::int64_t count = 256;
  std::int64_t period = 1024;

  [[nodiscard]] bool is_all(const Extent3& shape) const { return shape.y < 2 * period; }
  [[nodiscard]] bool holds(std::int64_t y) const { return y % period < count; }
};

/// What is known of the planes of a level.
struct PlaneDeviations {
  /// Of all voxels of a plane whose deviation is among the lowest that were asked for, or equal to one of them; of
  /// others perhaps of some of its rows.
  std::vector<numerics::ExactMoments> moments;
  /// The same planes' deviations; for others a number that is greater, and not more than their deviation.
  std::vector<double> values;
};

/// The deviations of the planes of a level, exact for the `lowest` (1 .. planes) of them. Planes that vary much are
/// known from some of their rows: the sum of the squared distances from the mean is no smaller for all of a plane than
/// for a part of it. One pass over the rows of the sample, and two over the other rows of a few planes, mostly.
[[nodiscard]] PlaneDeviations lowest_deviations(LevelStream& level, std::int64_t lowest, const RowSample& sample = {});

}  // namespace flatfield::methods
