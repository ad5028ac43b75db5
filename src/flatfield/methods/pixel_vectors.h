#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/numerics/ordered_sum.h"

namespace flatfield::methods {

// Arithmetic on vectors of one double per pixel, by several threads, with the same bits for any
// number of them.

inline constexpr std::int64_t kPixelStretch = 8192;

/// Calls body(i) for each pixel.
template <class Body>
void for_each_pixel(std::size_t pixels, const ParallelFor& parallel_for, Body body) {
  const auto count = static_cast<std::int64_t>(pixels);
  parallel_for(ceil_div(count, kPixelStretch), [&](std::int64_t stretch) {
    const std::int64_t end = std::min(count, (stretch + 1) * kPixelStretch);
    for (std::int64_t i = stretch * kPixelStretch; i < end; ++i) body(static_cast<std::size_t>(i));
  });
}

/// The sum of term(i) over the pixels.
template <class Term>
[[nodiscard]] double sum_over_pixels(std::size_t pixels, const ParallelFor& parallel_for,
                                     Term term) {
  return numerics::ordered_sum(static_cast<std::int64_t>(pixels), kPixelStretch, parallel_for,
                               [&](std::int64_t begin, std::int64_t end) {
                                 double sum = 0.0;
                                 for (std::int64_t i = begin; i < end; ++i)
                                   sum += term(static_cast<std::size_t>(i));
                                 return sum;
                               });
}

[[nodiscard]] inline double sum_of(std::span<const double> values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum;
}
[[nodiscard]] inline double sum_of_squares(std::span<const double> values) {
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return sum;
}
[[nodiscard]] inline double mean_of(std::span<const double> values) {
  return sum_of(values) / static_cast<double>(values.size());
}
/// Euclidean norm of a - b.
[[nodiscard]] inline double distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

/// sign(x) max(|x| - threshold, 0).
[[nodiscard]] inline double shrink(double x, double threshold) {
  const double beyond = std::abs(x) - threshold;
  return std::copysign(beyond > 0.0 ? beyond : 0.0, x);
}

}  // namespace flatfield::methods
