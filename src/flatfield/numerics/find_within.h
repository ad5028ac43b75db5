#pragma once

#include <cstdint>
#include <span>

namespace flatfield::numerics {

/// Both bounds belong to it; a range with low > high holds nothing.
struct Bounds {
  float low = 0.0F;
  float high = 0.0F;
};

/// Writes the indices i < n, ascending, at which inside[i] is not 0 and values[i] lies within low[i]..high[i] or any of
/// `others`, and returns how many these are. No value is NaN.
std::int64_t find_within(const float* values, const std::uint8_t* inside, std::int64_t n, const float* low,
                         const float* high, std::span<const Bounds> others, std::uint32_t* indices);

}  // namespace flatfield::numerics
