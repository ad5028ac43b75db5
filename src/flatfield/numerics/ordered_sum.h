#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "flatfield/core/extent.h"
#include "flatfield/core/parallel.h"

namespace flatfield::numerics {

/// Calls part(begin, end) for consecutive stretches of [0, count) of at most `stretch` indices, by
/// several threads, and returns the values it gave, in order. What is added up from them does not
/// depend on the number of threads.
template <class Part>
[[nodiscard]] auto ordered_parts(std::int64_t count, std::int64_t stretch,
                                 const ParallelFor& parallel_for, Part part) {
  std::vector<decltype(part(count, count))> parts(
      static_cast<std::size_t>(ceil_div(count, stretch)));
  parallel_for(static_cast<std::int64_t>(parts.size()), [&](std::int64_t i) {
    parts[static_cast<std::size_t>(i)] = part(i * stretch, std::min(count, (i + 1) * stretch));
  });
  return parts;
}

/// The sum of part(begin, end) over all stretches.
template <class Part>
double ordered_sum(std::int64_t count, std::int64_t stretch, const ParallelFor& parallel_for,
                   Part part) {
  double sum = 0.0;
  for (const double value : ordered_parts(count, stretch, parallel_for, part)) sum += value;
  return sum;
}

}  // namespace flatfield::numerics
