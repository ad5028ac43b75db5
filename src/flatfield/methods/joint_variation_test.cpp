#include "flatfield/methods/joint_variation.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace flatfield::methods {
namespace {

std::vector<float> random_values(std::mt19937& random, std::size_t count) {
  std::uniform_real_distribution<float> value(0.0F, 1000.0F);
  std::vector<float> values(count);
  for (float& v : values) v = value(random);
  return values;
}

TEST(JointVariation, moments_of_two_sets_are_those_of_all_their_values) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const std::size_t count : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    const std::vector<float> a = random_values(random, count);
    const std::vector<float> b = random_values(random, 50);
    std::vector<float> all = a;
    all.insert(all.end(), b.begin(), b.end());
    const numerics::Moments expected = numerics::moments(all);
    const numerics::Moments found =
        together(static_cast<std::int64_t>(a.size()), numerics::moments(a), 50, numerics::moments(b));
    EXPECT_NEAR(found.mean, expected.mean, 1e-9 * expected.mean);
    EXPECT_NEAR(found.deviation, expected.deviation, 1e-9 * expected.deviation);
  }
}

TEST(JointVariation, an_empty_set_changes_nothing) {
  const numerics::Moments some{3.0, 2.0};
  const numerics::Moments found = together(0, {}, 10, some);
  EXPECT_EQ(found.mean, 3.0);
  EXPECT_EQ(found.deviation, 2.0);
}

TEST(JointVariation, divided_moments_are_those_of_divided_values) {
  const numerics::Moments found = divided({6.0, 3.0}, 1.5);
  EXPECT_EQ(found.mean, 4.0);
  EXPECT_EQ(found.deviation, 2.0);
}

TEST(JointVariation, it_is_the_sum_of_the_deviations_over_the_distance_of_the_means) {
  EXPECT_EQ((JointVariation{numerics::Moments{10.0, 2.0}, numerics::Moments{2.0, 1.0}}.coefficient()), 3.0 / 8.0);
  EXPECT_EQ((JointVariation{numerics::Moments{2.0, 1.0}, numerics::Moments{10.0, 2.0}}.coefficient()), 3.0 / 8.0);
}

TEST(JointVariation, there_is_none_of_one_tissue_or_of_two_with_the_same_mean) {
  EXPECT_FALSE((JointVariation{numerics::Moments{10.0, 2.0}, {}}.coefficient()));
  EXPECT_FALSE((JointVariation{{}, numerics::Moments{10.0, 2.0}}.coefficient()));
  EXPECT_FALSE((JointVariation{numerics::Moments{10.0, 2.0}, numerics::Moments{10.0, 1.0}}.coefficient()));
}

}  // namespace
}  // namespace flatfield::methods
