#include "flatfield/numerics/line_sum.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "support/each_cpu_target.h"

namespace flatfield::numerics {
namespace {

TEST(LineSum, adds_the_pairs_from_the_outermost_inwards_on_every_cpu) {
  for_each_cpu_target([] {
    for (unsigned seed = 1; seed <= 60; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed);
      std::mt19937 random(seed);
      std::normal_distribution<double> value;
      const std::size_t radius = random() % 12;
      const std::size_t count = 1 + random() % 70;
      std::vector<std::vector<double>> values(2 * radius + 2, std::vector<double>(count));
      std::vector<const double*> lines;
      for (std::vector<double>& line : values) {
        for (double& v : line) v = value(random);
        lines.push_back(line.data());
      }
      std::vector<double> weights(radius + 1);
      for (double& weight : weights) weight = value(random);
      std::vector<float> even(count);
      std::vector<float> odd(count);
      const auto r = static_cast<std::int64_t>(radius);
      const auto n = static_cast<std::int64_t>(count);
      sum_even_lines(lines.data(), r, weights.data(), n, even.data());
      sum_odd_lines(lines.data(), r, weights.data(), n, odd.data());
      std::vector<float> first(count);
      std::vector<float> next(count);
      sum_even_line_pair(lines.data(), r, weights.data(), n, first.data(), next.data());
      ASSERT_EQ(first, even);
      std::vector<float> shifted(count);
      sum_even_lines(lines.data() + 1, r, weights.data(), n, shifted.data());
      ASSERT_EQ(next, shifted);
      for (std::size_t x = 0; x < count; ++x) {
        double even_sum = values[radius][x] * weights[radius];
        double odd_sum = even_sum;
        for (std::size_t i = 0; i < radius; ++i) {
          even_sum += (values[i][x] + values[2 * radius - i][x]) * weights[i];
          odd_sum += (values[i][x] - values[2 * radius - i][x]) * weights[i];
        }
        ASSERT_EQ(even[x], static_cast<float>(even_sum)) << x;
        ASSERT_EQ(odd[x], static_cast<float>(odd_sum)) << x;
      }
    }
  });
}

TEST(LineSum, widens_every_value_on_every_cpu) {
  for_each_cpu_target([] {
    std::vector<float> from(37);
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = 0.1F * static_cast<float>(i) - 1.0F;
    std::vector<double> to(from.size() + 1, 7.0);
    widen_line(from.data(), std::ssize(from), to.data());
    for (std::size_t i = 0; i < from.size(); ++i) ASSERT_EQ(to[i], static_cast<double>(from[i]));
    EXPECT_EQ(to.back(), 7.0);
  });
}

}  // namespace
}  // namespace flatfield::numerics
