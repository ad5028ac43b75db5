#include "flatfield/methods/basic_cost.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

Block<float> random_block(const Extent3& shape, float low, float high, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(low, high);
  Block<float> out(shape);
  for (float& v : out.span()) v = value(random);
  return out;
}

void three_threads(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = t; i < count; i += 3) body(i);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(BasicCost, quantiles_are_those_of_the_corrected_values) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    const Extent3 shape{static_cast<std::int64_t>(1 + random() % 40), 3, 7};
    SCOPED_TRACE("seed " + std::to_string(seed) + ", shape " + to_string(shape));
    const Block<float> images = random_block(shape, -50.F, 200.F, seed);
    const Block<float> flatfield = random_block({1, 3, 7}, 0.5F, 2.F, seed + 100);
    const Block<float> darkfield = random_block({1, 3, 7}, 0.F, 9.F, seed + 200);
    std::vector<float> values;
    for (std::int64_t i = 0; i < images.size(); ++i)
      values.push_back((images.data()[i] - darkfield.data()[i % 21]) / flatfield.data()[i % 21]);
    const std::vector<double> q{0.0, 0.01, 0.25, 0.5, 0.99, 1.0};
    const std::vector<double> found =
        CorrectedFrames(FrameStack(images.view()), flatfield.view(), darkfield.view())
            .quantiles(q, seed % 2 == 0 ? ParallelFor(three_threads) : ParallelFor(serial_for));
    for (std::size_t i = 0; i < q.size(); ++i)
      EXPECT_DOUBLE_EQ(found[i], numerics::percentile(std::span<float>(values), 100 * q[i]))
          << q[i];
  }
}

TEST(BasicCost, entropy_of_equal_bins_is_the_logarithm_of_their_width) {
  // 400 values in 4 bins of 25: a uniform density of 1 / 100.
  Block<float> images({4, 10, 10});
  for (std::int64_t i = 0; i < 400; ++i) images.data()[i] = static_cast<float>(i % 100) + 0.5F;
  const Block<float> ones({1, 10, 10}, 1.F);
  const Block<float> zeros({1, 10, 10}, 0.F);
  const CorrectedFrames frames(FrameStack(images.view()), ones.view(), zeros.view());
  EXPECT_NEAR(frames.entropy(0.0, 100.0, 4, std::nullopt, serial_for), std::log(100.0), 1e-12);
  // Only the first bin counts.
  Block<float> weights({4, 10, 10});
  for (std::int64_t i = 0; i < 400; ++i) weights.data()[i] = i % 100 < 25 ? 2.F : 0.F;
  EXPECT_NEAR(frames.entropy(0.0, 100.0, 4, FrameStack(weights.view()), serial_for), std::log(25.0),
              1e-12);
  EXPECT_TRUE(std::isnan(frames.entropy(1000.0, 1.0, 4, std::nullopt, serial_for)));
  EXPECT_TRUE(std::isnan(frames.entropy(0.5, 0.0, 4, std::nullopt, serial_for)));
  EXPECT_TRUE(std::isnan(frames.entropy(INFINITY, 1.0, 4, std::nullopt, serial_for)));
}

TEST(BasicCost, entropy_does_not_depend_on_the_number_of_threads) {
  const Block<float> images = random_block({50, 9, 11}, 0.F, 100.F, 1);
  const Block<float> weights = random_block({50, 9, 11}, 0.F, 1.F, 2);
  const Block<float> ones({1, 9, 11}, 1.F);
  const CorrectedFrames frames(FrameStack(images.view()), ones.view(), ones.view());
  const auto measure = [&](const ParallelFor& parallel_for) {
    return frames.entropy(0.0, 90.0, 50, FrameStack(weights.view()), parallel_for);
  };
  EXPECT_EQ(measure(serial_for), measure(three_threads));
}

TEST(BasicCost, fourier_norm_counts_large_coefficients_off_the_edges) {
  // One cosine: all its energy is in the coefficient (13, 4), which is outside the radius.
  Block<float> plane({1, 40, 30});
  for (std::int64_t y = 0; y < 40; ++y)
    for (std::int64_t x = 0; x < 30; ++x)
      plane.at(0, y, x) = static_cast<float>(
          1.0 + 0.1 * std::cos(std::numbers::pi * 13 * (static_cast<double>(y) + 0.5) / 40) *
                    std::cos(std::numbers::pi * 4 * (static_cast<double>(x) + 0.5) / 30));
  std::int64_t counted = 0;
  for (std::int64_t y = 1; y < 40; ++y)
    for (std::int64_t x = 1; x < 30; ++x) counted += y * y + x * x > 100 ? 1 : 0;
  EXPECT_DOUBLE_EQ(fourier_l0_norm(plane.view(), 0.1, 10.0, serial_for),
                   1.0 / static_cast<double>(counted));
  // The unnormalised coefficient is 4 * 0.1 * (40 / 2) * (30 / 2) = 120.
  EXPECT_GT(fourier_l0_norm(plane.view(), 119.9, 10.0, serial_for), 0.0);
  EXPECT_EQ(fourier_l0_norm(plane.view(), 120.1, 10.0, serial_for), 0.0);
  EXPECT_EQ(fourier_l0_norm(plane.view(), 0.1, 14.0, serial_for), 0.0);
  EXPECT_EQ(fourier_l0_norm(plane.view(), 0.1, 1000.0, serial_for), 0.0);
}

TEST(BasicCost, refuses_fields_of_another_shape) {
  const Block<float> images({2, 3, 4}, 1.F);
  const Block<float> field({1, 3, 4}, 1.F);
  const Block<float> other({1, 4, 3}, 1.F);
  EXPECT_THROW(CorrectedFrames(FrameStack(images.view()), other.view(), field.view()), Error);
  EXPECT_THROW(CorrectedFrames(FrameStack(images.view()), field.view(), other.view()), Error);
}

}  // namespace
}  // namespace flatfield::methods
