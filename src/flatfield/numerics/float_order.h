#pragma once

#include <bit>
#include <cstdint>

namespace flatfield::numerics {

/// Unsigned integers in the order of the floats, so that these can be sorted and counted by their
/// bits: -infinity < ... < -0 < 0 < ... < infinity.
[[nodiscard]] constexpr std::uint32_t ordered_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
/// The same of what floats are worth: -0 counts as 0, which adding 0 makes of it.
[[nodiscard]] constexpr std::uint32_t ordered_bits_of_value(float value) { return ordered_bits(value + 0.0F); }
[[nodiscard]] constexpr float from_ordered_bits(std::uint32_t bits) {
  return std::bit_cast<float>((bits & 0x80000000U) != 0 ? bits & 0x7FFFFFFFU : ~bits);
}

}  // namespace flatfield::numerics
