#include "flatfield/numerics/float_order.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace flatfield::numerics {
namespace {

TEST(FloatOrder, is_that_of_the_floats_and_is_undone) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> ascending{-kInfinity, -3e38F, -1.5F, -1.F, -1e-40F, -0.F,
                                     0.F,        1e-40F, 1.F,   1.5F, 3e38F,   kInfinity};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(from_ordered_bits(ordered_bits(ascending[i]))),
              std::bit_cast<std::uint32_t>(ascending[i]));
    if (i > 0) {
      EXPECT_LT(ordered_bits(ascending[i - 1]), ordered_bits(ascending[i]));
    }
  }
}

TEST(FloatOrder, of_values_has_one_zero) {
  EXPECT_EQ(ordered_bits_of_value(-0.F), ordered_bits_of_value(0.F));
  for (const float value : {-1.5F, -1e-40F, 0.F, 1e-40F, 1.5F})
    EXPECT_EQ(ordered_bits_of_value(value), ordered_bits(value)) << value;
}

}  // namespace
}  // namespace flatfield::numerics
