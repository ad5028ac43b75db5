#include "flatfield/numerics/exponential.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace flatfield::numerics {
namespace {

TEST(Exponential, in_double_is_that_of_the_c_library_within_two_ulp) {
  for (int i = 0; i <= 1000000; ++i) {
    const double x = kLeastExponent * (static_cast<double>(i) / 1000000);
    const double exact = std::exp(x);
    ASSERT_NEAR(exp_of_nonpositive(x), exact, 2 * 2.3e-16 * exact) << x;
  }
  EXPECT_EQ(exp_of_nonpositive(0.0), 1.0);
  EXPECT_NEAR(exp_of_nonpositive(-1e-12), 1.0 - 1e-12, 2.3e-16);
}

TEST(Exponential, as_numpy_is_within_three_ulp_of_the_exact_value) {
  for (int i = 0; i <= 1000000; ++i) {
    const float x = -87.0F * (static_cast<float>(i) / 1000000);
    const double exact = std::exp(static_cast<double>(x));
    ASSERT_NEAR(exp_as_numpy(x), exact, 3 * 1.2e-7 * exact) << x;
  }
  EXPECT_EQ(exp_as_numpy(0.0F), 1.0F);
}

TEST(Exponential, as_numpy_falls_through_denormal_numbers_to_zero) {
  const double smallest = std::numeric_limits<float>::denorm_min();
  for (float x = -87.5F; x > -103.9F; x -= 0.1F)
    EXPECT_NEAR(exp_as_numpy(x), std::exp(static_cast<double>(x)), 2 * smallest) << x;
  for (const float x : {-104.5F, -1000.0F, -3e38F, -std::numeric_limits<float>::infinity()})
    EXPECT_EQ(exp_as_numpy(x), 0.0F);
}

}  // namespace
}  // namespace flatfield::numerics
