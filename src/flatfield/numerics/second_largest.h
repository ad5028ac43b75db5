#pragma once

#include <cstdint>

namespace flatfield::numerics {

/// out[i] = the second largest of the eight values at 2 * i and 2 * i + 1 of the four rows, for i < n. The rows do not
/// overlap `out`.
void second_largest_row(const std::uint8_t* const rows[4], std::uint8_t* out, std::int64_t n);
void second_largest_row(const std::uint16_t* const rows[4], std::uint16_t* out, std::int64_t n);

}  // namespace flatfield::numerics
