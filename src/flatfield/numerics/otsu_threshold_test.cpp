#include "flatfield/numerics/otsu_threshold.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

TEST(OtsuThreshold, parts_two_clusters) {
  std::mt19937 random(1);
  std::normal_distribution<float> dark(100.F, 5.F);
  std::normal_distribution<float> bright(900.F, 20.F);
  std::vector<float> values;
  for (int i = 0; i < 5000; ++i) values.push_back(i % 5 == 0 ? bright(random) : dark(random));
  const float threshold = otsu_threshold(values);
  EXPECT_GT(threshold, 115.F);
  EXPECT_LT(threshold, 850.F);
}

TEST(OtsuThreshold, of_two_values_is_the_centre_of_the_lowest_bin) {
  const std::vector<float> values{0.F, 256.F, 256.F};
  EXPECT_EQ(otsu_threshold(values), 0.5F);
}

TEST(OtsuThreshold, of_equal_values_is_that_value) {
  const std::vector<float> values(7, 42.F);
  EXPECT_EQ(otsu_threshold(values), 42.F);
}

TEST(OtsuThreshold, of_no_values_is_an_error) { EXPECT_THROW((void)otsu_threshold({}), Error); }

}  // namespace
}  // namespace flatfield::numerics
