#pragma once

#include <cstdint>

namespace flatfield::numerics {

/// Writes `count` values as doubles.
void widen_line(const float* from, std::int64_t count, double* to);

/// Writes `count` weighted sums of 2 * radius + 1 lines of doubles, `lines[radius]` in the middle: the middle line times
/// weights[radius], then, from the outermost pair inwards, plus (lines[i] + lines[2 * radius - i]) * weights[i], or
/// their difference times weights[i]. Each step is a double operation of its own, and the sum is rounded to float32 at
/// the end, so every CPU computes the same bits. `out` overlaps none of the lines.
void sum_even_lines(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count,
                    float* out);
void sum_odd_lines(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count,
                   float* out);

/// sum_even_lines of lines[0] .. lines[2 * radius] to `out` and of the lines one further on, up to
/// lines[2 * radius + 1], to `next`.
void sum_even_line_pair(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count,
                        float* out, float* next);

}  // namespace flatfield::numerics
