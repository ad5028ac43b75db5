#pragma once

#include <random>

namespace flatfield::numerics {

/// A number in [0, 1) from the generator's upper 53 bits: the same on every platform, which
/// std::uniform_real_distribution does not promise.
[[nodiscard]] inline double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

}  // namespace flatfield::numerics
