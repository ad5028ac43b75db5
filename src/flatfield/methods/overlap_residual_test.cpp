#include "flatfield/methods/overlap_residual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::methods {
namespace {

TEST(OverlapResidual, of_the_same_image_is_0) {
  Block<float> a({3, 8, 8}, 7.0F);
  Block<float> b = a.clone();
  EXPECT_EQ(overlap_residual(a.view(), b.view(), serial_for), 0.0);
}

TEST(OverlapResidual, of_a_constant_factor_is_that_factor_whatever_the_image) {
  std::mt19937 random(2);
  Block<float> a({5, 20, 20});
  for (float& v : a.span()) v = 1.0F + static_cast<float>(random() % 100);
  Block<float> b = a.clone();
  for (float& v : b.span()) v *= 1.5F;
  EXPECT_NEAR(overlap_residual(a.view(), b.view(), serial_for), 0.5 / 1.25, 1e-6);
}

TEST(OverlapResidual, is_the_median_over_smoothed_voxels_that_are_not_both_0) {
  std::mt19937 random(3);
  Block<float> a({4, 30, 40}, 0.0F);
  Block<float> b = a.clone();
  for (std::int64_t z = 0; z < 4; ++z)
    for (std::int64_t y = 0; y < 12; ++y)
      for (std::int64_t x = 0; x < 40; ++x) {
        a.at(z, y, x) = static_cast<float>(random() % 50);
        b.at(z, y, x) = static_cast<float>(random() % 50);
      }
  Block<float> smooth_a = a.clone();
  Block<float> smooth_b = b.clone();
  numerics::gaussian_filter(smooth_a.view(), {2.0, 2.0, 2.0}, serial_for);
  numerics::gaussian_filter(smooth_b.view(), {2.0, 2.0, 2.0}, serial_for);
  std::vector<double> ratios;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double first = smooth_a.data()[i];
    const double second = smooth_b.data()[i];
    if (first + second > 0.0) ratios.push_back(std::abs(first - second) / ((first + second) / 2.0));
  }
  ASSERT_LT(ratios.size(), static_cast<std::size_t>(a.size())) << "the far rows stay 0";
  std::sort(ratios.begin(), ratios.end());
  const std::size_t n = ratios.size();
  EXPECT_NEAR(overlap_residual(a.view(), b.view(), serial_for), (ratios[(n - 1) / 2] + ratios[n / 2]) / 2.0, 1e-6);
}

TEST(OverlapResidual, of_nothing_is_not_a_number) {
  Block<float> a({1, 4, 4}, 0.0F);
  Block<float> b = a.clone();
  EXPECT_TRUE(std::isnan(overlap_residual(a.view(), b.view(), serial_for)));
  Block<float> c({1, 4, 5}, 0.0F);
  EXPECT_THROW((void)overlap_residual(a.view(), c.view(), serial_for), Error);
}

}  // namespace
}  // namespace flatfield::methods
