#include "flatfield/numerics/exact_moments.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/moment_sums.h"
#include "support/each_cpu_target.h"

namespace flatfield::numerics {
namespace {

TEST(ExactMoments, are_those_of_two_passes_in_double) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (const float largest : {1.0F, 300.0F, 65535.0F}) {
    std::vector<float> values(100001);
    for (float& v : values) v = std::uniform_real_distribution<float>(0, largest)(random);
    ExactMoments exact;
    exact.add(values);
    const Moments expected = moments(values);
    EXPECT_NEAR(exact.moments().mean, expected.mean, 1e-6);
    EXPECT_NEAR(exact.moments().deviation, expected.deviation, 1e-6);
    EXPECT_NEAR(exact.sum(), expected.mean * static_cast<double>(values.size()), 1.0);
  }
}

TEST(ExactMoments, do_not_depend_on_order_or_pieces) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<float> values(5000);
  for (float& v : values) v = std::exponential_distribution<float>(0.01F)(random);
  ExactMoments whole;
  whole.add(values);
  std::shuffle(values.begin(), values.end(), random);
  ExactMoments pieces;
  for (std::size_t i = 0; i < values.size();) {
    const std::size_t n = std::min<std::size_t>(values.size() - i, 1 + random() % 700);
    ExactMoments piece;
    piece.add(std::span(values).subspan(i, n));
    pieces.add(piece);
    i += n;
  }
  EXPECT_EQ(pieces.count(), 5000);
  EXPECT_EQ(pieces.moments().mean, whole.moments().mean);
  EXPECT_EQ(pieces.moments().deviation, whole.moments().deviation);
}

TEST(ExactMoments, of_the_values_inside_are_those_of_these_alone) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<float> values(70001);
  std::vector<std::uint8_t> inside(values.size());
  std::vector<float> chosen;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::uniform_real_distribution<float>(0, 65535)(random);
    inside[i] = static_cast<std::uint8_t>(random() % 2);
    if (inside[i] == 1) chosen.push_back(values[i]);
  }
  ExactMoments found;
  found.add_where(values, inside);
  ExactMoments expected;
  expected.add(chosen);
  EXPECT_EQ(found.count(), expected.count());
  EXPECT_EQ(found.sum(), expected.sum());
  EXPECT_EQ(found.moments().deviation, expected.moments().deviation);
}

TEST(ExactMoments, have_the_same_bits_on_every_cpu) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<float> values(1003);
  std::vector<std::uint8_t> inside(values.size());
  for (float& v : values) v = std::uniform_real_distribution<float>(0, 65535)(random);
  for (std::uint8_t& in : inside) in = random() % 3 != 0 ? 1 : 0;
  values[7] = 0.5F / 65536.0F;  // halfway between two multiples, and the largest
  values[8] = 1.5F / 65536.0F;
  values[9] = 65535.99F;
  std::fill_n(inside.begin() + 7, 3, std::uint8_t{1});
  // Whole numbers by way of the standard library.
  __extension__ using Wide = unsigned __int128;
  Wide sum = 0;
  Wide squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (inside[i] == 0) continue;
    const auto units = static_cast<std::uint64_t>(std::nearbyint(double{values[i]} * 65536.0));
    sum += units;
    squares += static_cast<Wide>(units) * units;
  }
  for_each_cpu_target([&] {
    MomentSums found = moment_sums(values.data(), inside.data(), std::ssize(values));
    EXPECT_TRUE(found.sum == sum);
    EXPECT_TRUE((static_cast<Wide>(found.squares_high) << 32U) + found.squares_low == squares);
    const std::vector<std::uint8_t> all(values.size(), 1);
    found = moment_sums(values.data(), all.data(), std::ssize(values));
    const MomentSums without = moment_sums(values.data(), nullptr, std::ssize(values));
    EXPECT_EQ(found.sum, without.sum);
    EXPECT_EQ(found.squares_low, without.squares_low);
    EXPECT_EQ(found.squares_high, without.squares_high);
  });
}

TEST(ExactMoments, take_what_is_too_large_for_the_largest_on_every_cpu) {
  // As many as vectors hold, and a rest.
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}, std::size_t{64}, std::size_t{67}}) {
    const std::vector<float> largest(count, 65535.99609375F);
    const MomentSums expected = moment_sums(largest.data(), nullptr, std::ssize(largest));
    for (const float more : {65536.0F, 65540.0F, 1e30F}) {
      const std::vector<float> values(count, more);
      const std::vector<std::uint8_t> inside(count, 1);
      for_each_cpu_target([&] {
        for (const std::uint8_t* where : {static_cast<const std::uint8_t*>(nullptr), inside.data()}) {
          const MomentSums found = moment_sums(values.data(), where, std::ssize(values));
          EXPECT_EQ(found.sum, expected.sum);
          EXPECT_EQ(found.squares_low, expected.squares_low);
          EXPECT_EQ(found.squares_high, expected.squares_high);
        }
      });
    }
  }
  ExactMoments moments;
  moments.add(std::vector<float>(100, 70000.0F));
  EXPECT_EQ(moments.moments().mean, 65535.99609375);
}

TEST(ExactMoments, of_equal_values_have_no_deviation) {
  ExactMoments exact;
  exact.add(std::vector<float>(200000, 65535.0F));
  EXPECT_EQ(exact.moments().mean, 65535.0);
  EXPECT_EQ(exact.moments().deviation, 0.0);
}

TEST(ExactMoments, of_nothing_are_refused) {
  EXPECT_THROW(static_cast<void>(ExactMoments().moments()), Error);
}

}  // namespace
}  // namespace flatfield::numerics
