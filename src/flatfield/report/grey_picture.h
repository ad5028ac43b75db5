#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flatfield/core/block.h"

namespace flatfield::report {

/// A plane (1, y, x) with pixels that are the mean of `step` x `step` of its own (fewer at the far edges). T is
/// uint16 or float.
template <class T>
[[nodiscard]] Block<float> reduced_plane(BlockView<const T> plane, std::int64_t step);

/// The smallest step with which no side of a plane is longer than `longest` pixels.
[[nodiscard]] std::int64_t reduction_step(const Extent3& shape, std::int64_t longest);

/// Values that half a percent of all values lie below, and half a percent above; they differ. Of a plane without finite
/// values 0 and 1.
struct ValueRange {
  double lo = 0.0;
  double hi = 1.0;
};
[[nodiscard]] ValueRange shown_range(const Block<float>& plane);

/// A plane (1, y, x) as the bytes of a PNG file of 8-bit greys, a pixel each: `range.lo` and less are black, `range.hi`
/// and more are white. Values that are not finite are black. Throws Error(kInternal) where the drawing library fails.
[[nodiscard]] std::vector<std::byte> grey_png(BlockView<const float> plane, ValueRange range);

}  // namespace flatfield::report
