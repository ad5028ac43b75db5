#pragma once

#include <cstdint>

namespace flatfield::numerics {

/// below[i] = how many of the `planes` values at values[p * stride + i] are less than threshold[i], for i < n. The count
/// must fit the type.
void count_below(const std::int8_t* values, std::int64_t stride, std::int64_t planes, const std::int8_t* threshold,
                 std::int8_t* below, std::int64_t n);
void count_below(const std::int16_t* values, std::int64_t stride, std::int64_t planes, const std::int16_t* threshold,
                 std::int16_t* below, std::int64_t n);
void count_below(const std::int32_t* values, std::int64_t stride, std::int64_t planes, const std::int32_t* threshold,
                 std::int32_t* below, std::int64_t n);

}  // namespace flatfield::numerics
