#pragma once

#include <cstdint>

namespace flatfield::numerics {

/// Index of sample i, of any sign, of a signal of `size` >= 1 samples that goes on reflected about its end samples:
/// d c b | a b c d | c b a.
[[nodiscard]] constexpr std::int64_t whole_sample_reflection(std::int64_t i, std::int64_t size) {
  if (size == 1) return 0;
  const std::int64_t period = 2 * size - 2;
  i = ((i % period) + period) % period;
  return i < size ? i : period - i;
}

}  // namespace flatfield::numerics
