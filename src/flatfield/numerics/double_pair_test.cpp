#include "flatfield/numerics/double_pair.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

namespace flatfield::numerics {
namespace {

std::array<double, 2> values_of(DoublePair pair) {
  std::array<double, 2> out{};
  pair.store(out.data());
  return out;
}

TEST(DoublePair, computes_each_value_as_a_double_would_be) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> value(-10.0, 10.0);
  for (int trial = 0; trial < 1000; ++trial) {
    const std::array<double, 2> a{value(random), value(random)};
    const std::array<double, 2> b{value(random), value(random)};
    const DoublePair x = DoublePair::load(a.data());
    const DoublePair y = DoublePair::load(b.data());
    const auto sum = values_of(x + y);
    const auto difference = values_of(x - y);
    const auto product = values_of(x * y);
    const auto scaled = values_of(x * 3.0);
    const auto smaller = values_of(shrink(x, DoublePair::load(b.data()) * y));
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(sum[i], a[i] + b[i]);
      EXPECT_EQ(difference[i], a[i] - b[i]);
      EXPECT_EQ(product[i], a[i] * b[i]);
      EXPECT_EQ(scaled[i], a[i] * 3.0);
      EXPECT_EQ(smaller[i], std::copysign(std::fmax(std::abs(a[i]) - b[i] * b[i], 0.0), a[i]));
    }
    EXPECT_EQ((x + y).sum(), sum[0] + sum[1]);
  }
}

TEST(DoublePair, rounds_to_floats_as_a_cast_does) {
  const std::array<float, 2> in{0.1F, -3e30F};
  std::array<float, 2> out{};
  DoublePair::load(in.data()).store(out.data());
  EXPECT_EQ(out, in);
  const std::array<double, 2> fine{1.0 / 3.0, -2.0 / 3.0};
  DoublePair::load(fine.data()).store(out.data());
  EXPECT_EQ(out[0], static_cast<float>(fine[0]));
  EXPECT_EQ(out[1], static_cast<float>(fine[1]));
}

TEST(DoublePair, of_one_value_leaves_its_neighbour_alone) {
  const std::vector<float> lone{2.5F};
  const DoublePair pair = DoublePair::load_one(lone.data());
  EXPECT_EQ(pair.sum(), 2.5);
  std::array<float, 2> out{7.F, 8.F};
  pair.store_one(out.data());
  EXPECT_EQ(out, (std::array<float, 2>{2.5F, 8.F}));
  std::array<double, 2> wide{7.0, 8.0};
  pair.store_one(wide.data());
  EXPECT_EQ(wide, (std::array<double, 2>{2.5, 8.0}));
}

TEST(DoublePair, visits_every_index_of_even_and_odd_counts) {
  for (std::int64_t count = 0; count < 6; ++count) {
    std::vector<float> values(static_cast<std::size_t>(count), 1.F);
    for_each_pair(count, [&](std::int64_t i, auto access) {
      access.store(access.load(values.data() + i) + 1.0, values.data() + i);
    });
    EXPECT_EQ(values, std::vector<float>(static_cast<std::size_t>(count), 2.F));
  }
}

}  // namespace
}  // namespace flatfield::numerics
