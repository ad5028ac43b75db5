#pragma once

#include <cstdint>

namespace flatfield::numerics {

/// Values are summed as integers, so that sums do not depend on their order: as multiples of 1 / kMomentUnits. What is
/// below 2^16 becomes a number of 32 bits, whose square fits into 64. The sums are divided by it again.
inline constexpr double kMomentUnits = 65536.0;

/// Sums of values as multiples of 2^-16, and of the lower and upper 32 bits of the squares of these multiples.
struct MomentSums {
  std::uint64_t sum = 0;
  std::uint64_t squares_low = 0;
  std::uint64_t squares_high = 0;
};
/// Sums of so many values fit into 64 bits.
constexpr std::int64_t kMostMomentValues = 65536;

/// Of at most kMostMomentValues values from 0 on, rounded to the multiples, half to even; what is above 65535.99 counts as
/// that. Where `inside` is not null, of those for which it is 1 and not 0.
[[nodiscard]] MomentSums moment_sums(const float* values, const std::uint8_t* inside, std::int64_t count);

}  // namespace flatfield::numerics
