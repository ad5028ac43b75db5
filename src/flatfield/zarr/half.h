#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace flatfield::zarr {

/// IEEE 754 binary16, for which gcc 12 has no C++ type.
struct Half {
  std::uint16_t bits = 0;

  /// Rounds to nearest, ties to even, like numpy.
  static Half from(double value) {
    const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
    const double a = std::abs(value);
    if (std::isnan(value)) return {static_cast<std::uint16_t>(sign | 0x7e00)};
    if (a == 0) return {sign};
    if (a >= 65520.0) return {static_cast<std::uint16_t>(sign | 0x7c00)};
    int exponent = 0;
    std::frexp(a, &exponent);
    // a = significand * 2^(exponent - 11) with a significand in [1024, 2048); smaller for
    // subnormals. A significand that rounds up to 2048 carries into the exponent, as it should.
    exponent = std::max(exponent, -13);
    const auto significand = static_cast<int>(std::nearbyint(std::ldexp(a, 11 - exponent)));
    return {static_cast<std::uint16_t>(sign | (((exponent + 13) << 10) + significand))};
  }
  [[nodiscard]] double value() const {
    const int exponent = (bits >> 10) & 0x1f;
    const int fraction = bits & 0x3ff;
    double a = 0;
    if (exponent == 31)
      a = fraction == 0 ? std::numeric_limits<double>::infinity()
                        : std::numeric_limits<double>::quiet_NaN();
    else
      a = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
    return (bits & 0x8000) != 0 ? -a : a;
  }
};

}  // namespace flatfield::zarr
