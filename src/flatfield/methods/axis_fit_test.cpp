#include "flatfield/methods/axis_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "flatfield/core/error.h"
#include "flatfield/core/parallel.h"
#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::methods {
namespace {

struct Sample {
  Block<float> v_low;
  Block<std::uint8_t> mask;
};

Sample random_sample(unsigned seed) {
  std::mt19937 random(seed);
  const auto length = [&] { return static_cast<std::int64_t>(1 + random() % 12); };
  const Extent3 shape{length(), length(), length()};
  Sample sample{Block<float>(shape), Block<std::uint8_t>(shape)};
  const unsigned share = 1 + random() % 4;
  for (float& v : sample.v_low.span()) v = 0.25F * static_cast<float>(random() % 800);
  for (std::uint8_t& m : sample.mask.span()) m = random() % share == 0 ? 1 : 0;
  sample.mask.at(0, 0, 0) = 1;
  return sample;
}

// Levels in memory, in boxes of a few voxels.

double global_level(BlockView<const float> v_low, BitView mask, double q,
                    std::optional<BlockView<const float>> weights = std::nullopt) {
  BlockStream stream(v_low, {3, 5, 4});
  if (!weights) return global_level(stream, FitMask(mask), q);
  const StoredWeights field(*weights);
  return global_level(stream, FitMask(mask), q, &field);
}

AxisFit fit_axes(BlockView<const float> v_low, BitView mask, double g, double med_factor,
                 const FittingOptions& options, const ParallelFor& /*parallel_for*/,
                 std::optional<BlockView<const float>> weights = std::nullopt) {
  BlockStream stream(v_low, {3, 5, 4});
  constexpr std::int64_t kBytes = 3000;
  if (!weights) return fit_axes(stream, FitMask(mask), g, med_factor, options, kBytes);
  const StoredWeights field(*weights);
  return fit_axes(stream, FitMask(mask), g, med_factor, options, kBytes, &field);
}

/// Values of the masked voxels of one plane, sorted.
std::vector<float> plane_values(const Block<float>& volume, const Block<std::uint8_t>& mask,
                                int axis, std::int64_t plane) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < volume.size(); ++i) {
    const Extent3 p = unravel(i, volume.shape());
    if (p[axis] == plane && mask.at(p.z, p.y, p.x) != 0) values.push_back(volume.at(p.z, p.y, p.x));
  }
  std::sort(values.begin(), values.end());
  return values;
}

double linear_percentile(const std::vector<float>& sorted, double q) {
  const double position = q / 100.0 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double lo = sorted[below];
  return lo + (position - static_cast<double>(below)) * (static_cast<double>(sorted[above]) - lo);
}

/// docs/methods.md 4.4 from a table of counts.
double naive_global_level(const Sample& sample, double q) {
  std::map<int, double> counts;
  double total = 0.0;
  for (std::int64_t i = 0; i < sample.v_low.size(); ++i) {
    if (sample.mask.data()[i] == 0) continue;
    ++counts[static_cast<int>(std::nearbyint(sample.v_low.data()[i]))];
    ++total;
  }
  const double target = q / 100.0 * total;
  double before = 0.0;
  for (int bin = 0; bin < 65536; ++bin) {
    const double count = counts.contains(bin) ? counts[bin] : 0.0;
    if (before + count >= target) return count == 0.0 ? bin : bin + (target - before) / count;
    before += count;
  }
  return -1.0;
}

TEST(GlobalLevel, equals_that_of_a_naive_search) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Sample sample = random_sample(seed);
    for (const double q : {0.0, 1.0, 50.0, 99.5, 100.0})
      EXPECT_EQ(global_level(sample.v_low.view(), BitVolume(sample.mask.view()).view(), q),
                naive_global_level(sample, q))
          << q;
  }
}

TEST(GlobalLevel, rounds_half_to_even_and_interpolates_inside_the_bin) {
  Block<float> v_low({1, 1, 4});
  const BitVolume mask({1, 1, 4}, true);
  std::ranges::copy(std::vector{2.5F, 1.5F, 2.0F, 7.0F}, v_low.span().begin());
  // Bins: three voxels in 2, one in 7. Two of the three voxels of bin 2 are below the median.
  EXPECT_DOUBLE_EQ(global_level(v_low.view(), mask.view(), 50.0), 2.0 + 2.0 / 3.0);
}

TEST(GlobalLevel, sees_masked_voxels_only) {
  Block<float> v_low({1, 1, 2});
  BitVolume mask({1, 1, 2});
  v_low.at(0, 0, 0) = 1000.0F;
  v_low.at(0, 0, 1) = 40.0F;
  mask.set(0, 0, 1, true);
  EXPECT_DOUBLE_EQ(global_level(v_low.view(), mask.view(), 50.0), 40.5);
}

TEST(GlobalLevel, of_a_dark_mask_lies_below_one) {
  const Block<float> v_low({2, 2, 2}, 0.0F);
  const BitVolume mask({2, 2, 2}, true);
  EXPECT_DOUBLE_EQ(global_level(v_low.view(), mask.view(), 0.0), 0.0);
  EXPECT_LT(global_level(v_low.view(), mask.view(), 50.0), 1.0);
}

TEST(GlobalLevel, counts_values_beyond_uint16_in_the_last_bin) {
  const Block<float> v_low({1, 1, 1}, 70000.0F);
  const BitVolume mask({1, 1, 1}, true);
  EXPECT_DOUBLE_EQ(global_level(v_low.view(), mask.view(), 0.0), 0.0);
  EXPECT_DOUBLE_EQ(global_level(v_low.view(), mask.view(), 100.0), 65536.0);
}

TEST(GlobalLevel, of_weighted_voxels_is_the_lower_edge_of_the_bin_that_a_naive_search_finds) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Sample sample = random_sample(seed);
    std::mt19937 random(seed + 5000);
    Block<float> weights(sample.v_low.shape());
    for (float& w : weights.span())
      w = random() % 3 == 0 ? 0.0F : static_cast<float>(random() % 64) / 64.0F;
    std::map<int, double> sums;
    double total = 0.0;
    for (std::int64_t i = 0; i < weights.size(); ++i) {
      if (sample.mask.data()[i] == 0) continue;
      sums[static_cast<int>(std::nearbyint(sample.v_low.data()[i]))] += weights.data()[i];
      total += weights.data()[i];
    }
    for (const double q : {0.0, 1.0, 50.0, 99.5, 100.0}) {
      double before = 0.0;
      int bin = 0;
      for (; bin < 65535; ++bin) {
        before += sums.contains(bin) ? sums[bin] : 0.0;
        if (before >= q / 100.0 * total) break;
      }
      EXPECT_EQ(global_level(sample.v_low.view(), BitVolume(sample.mask.view()).view(), q, weights.view()), bin) << q;
    }
  }
}

TEST(GlobalLevel, of_weights_that_are_all_zero_is_zero) {
  const Block<float> v_low({2, 2, 2}, 50.0F);
  const BitVolume mask({2, 2, 2}, true);
  const Block<float> weights({2, 2, 2}, 0.0F);
  EXPECT_EQ(global_level(v_low.view(), mask.view(), 50.0, weights.view()), 0.0);
}

TEST(FitAxes, gives_the_profiles_of_a_naive_search) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed + 1000);
    const Sample sample = random_sample(seed);
    const double g = 20.0 + static_cast<double>(random() % 1000) / 7.0;
    const double med_factor = 0.5 + static_cast<double>(random() % 4) / 2.0;
    FittingOptions options;
    options.gaussian_sigma = static_cast<double>(random() % 3);
    options.profile_percentile = static_cast<double>(random() % 101);
    options.profile_min_voxels = static_cast<std::int64_t>(random() % 5);

    const AxisFit fit =
        fit_axes(sample.v_low.view(), BitVolume(sample.mask.view()).view(), g, med_factor, options, serial_for);
    EXPECT_EQ(fit.g, g);
    Block<float> u = sample.v_low.clone();
    for (float& v : u.span()) v = std::min(v, static_cast<float>(g * med_factor));
    const double sigma = options.gaussian_sigma;
    numerics::gaussian_filter(u.view(), {sigma, sigma, sigma}, serial_for);
    for (int axis = 0; axis < 3; ++axis) {
      const AxisProfile& found = fit.axes[static_cast<std::size_t>(axis)];
      ASSERT_EQ(found.profile.size(), static_cast<std::size_t>(u.shape()[axis]));
      ASSERT_TRUE(found.spline);
      for (std::int64_t plane = 0; plane < u.shape()[axis]; ++plane) {
        const std::vector<float> values = plane_values(u, sample.mask, axis, plane);
        const bool too_few =
            values.empty() || static_cast<std::int64_t>(values.size()) < options.profile_min_voxels;
        const auto value =
            static_cast<float>(too_few ? g : linear_percentile(values, options.profile_percentile));
        const float expected = value / static_cast<float>(g);
        // The interpolation of numpy's percentile may round differently in the last bit.
        ASSERT_NEAR(found.profile[static_cast<std::size_t>(plane)], expected, 1e-6F * expected)
            << "axis " << axis << " plane " << plane;
      }
      // Without smoothing the spline goes through the profile.
      for (std::size_t i = 0; i < found.profile.size(); ++i)
        EXPECT_NEAR((*found.spline)(static_cast<double>(i)), found.profile[i], 1e-9);
    }
  }
}

TEST(FitAxes, takes_planes_without_mask_voxels_for_the_global_level) {
  const Block<float> v_low({3, 2, 2}, 8.0F);
  BitVolume mask({3, 2, 2}, true);
  for (std::int64_t y = 0; y < 2; ++y) mask.fill(1, y, 0, 2, false);
  const AxisFit fit = fit_axes(v_low.view(), mask.view(), 16.0, 2.0, {}, serial_for);
  EXPECT_EQ(fit.axes[0].profile, (std::vector<float>{0.5F, 1.0F, 0.5F}));
}

TEST(FitAxes, with_weights_takes_the_weighted_percentile_of_each_plane) {
  Block<float> v_low({2, 1, 4});
  Block<float> weights({2, 1, 4});
  BitVolume mask({2, 1, 4}, true);
  std::ranges::copy(std::vector{1.0F, 2.0F, 3.0F, 4.0F, 8.0F, 7.0F, 6.0F, 5.0F},
                    v_low.span().begin());
  std::ranges::copy(std::vector{0.1F, 0.1F, 0.1F, 0.9F, 0.25F, 0.25F, 0.25F, 0.25F},
                    weights.span().begin());
  mask.set(1, 0, 0, false);
  FittingOptions options;
  options.gaussian_sigma = 0.0;
  const AxisFit fit =
      fit_axes(v_low.view(), mask.view(), 10.0, 2.0, options, serial_for, weights.view());
  EXPECT_EQ(fit.axes[0].profile, (std::vector<float>{0.4F, 0.6F}));
  EXPECT_EQ(fit.axes[2].profile, (std::vector<float>{0.1F, 0.7F, 0.6F, 0.4F}));
}

TEST(FitAxes, with_weights_takes_weightless_planes_for_the_global_level_and_counts_voxels) {
  const Block<float> v_low({3, 2, 2}, 8.0F);
  const BitVolume mask({3, 2, 2}, true);
  Block<float> weights({3, 2, 2}, 0.0F);
  weights.at(0, 0, 0) = 1e-6F;
  FittingOptions options;
  options.profile_min_voxels = 4;  // of which one has a weight
  const AxisFit fit =
      fit_axes(v_low.view(), mask.view(), 16.0, 2.0, options, serial_for, weights.view());
  EXPECT_EQ(fit.axes[0].profile, (std::vector<float>{0.5F, 1.0F, 1.0F}));
  options.profile_min_voxels = 5;
  EXPECT_EQ(fit_axes(v_low.view(), mask.view(), 16.0, 2.0, options, serial_for, weights.view())
                .axes[0]
                .profile,
            (std::vector<float>{1.0F, 1.0F, 1.0F}));
}

TEST(FitAxes, does_not_fit_an_axis_that_is_limited_to_one) {
  const Sample sample = random_sample(1);
  FittingOptions options;
  options.limits_y = Limits{1.0, 1.0};
  options.limits_x = std::nullopt;
  options.limits_z = Limits{0.5, 2.0};
  const AxisFit fit =
      fit_axes(sample.v_low.view(), BitVolume(sample.mask.view()).view(), 50.0, 2.0, options, serial_for);
  EXPECT_EQ(fit.axes[0].limits, (Limits{0.5, 2.0}));
  EXPECT_TRUE(fit.axes[0].spline);
  EXPECT_FALSE(fit.axes[1].spline);
  EXPECT_FALSE(fit.axes[1].profile.empty()) << "the profile is still measured";
  EXPECT_TRUE(evaluate_curve(fit.axes[1], 10).empty());
  EXPECT_FALSE(fit.axes[2].limits);
  EXPECT_TRUE(fit.axes[2].spline);
}

TEST(FitAxes, refuses_another_shape_and_a_level_of_zero) {
  const Block<float> v_low({2, 2, 2}, 1.0F);
  const BitVolume mask({2, 2, 2}, true);
  const BitVolume other({2, 2, 3}, true);
  EXPECT_THROW((void)fit_axes(v_low.view(), other.view(), 1.0, 2.0, {}, serial_for), Error);
  EXPECT_THROW((void)fit_axes(v_low.view(), mask.view(), 0.0, 2.0, {}, serial_for), Error);
}

/// An axis whose spline is a straight line through `first`, `first + step`, ...
AxisProfile line(std::size_t samples, double first, double step, std::optional<Limits> limits) {
  AxisProfile axis;
  std::vector<double> values;
  for (std::size_t i = 0; i < samples; ++i) {
    values.push_back(first + step * static_cast<double>(i));
    axis.profile.push_back(static_cast<float>(values.back()));
  }
  axis.spline = numerics::smoothing_spline(values, 0.0);
  axis.limits = limits;
  return axis;
}

TEST(EvaluateCurve, begins_and_ends_at_the_first_and_last_sample) {
  const AxisProfile axis = line(6, 0.5, 0.0625, std::nullopt);
  for (const std::int64_t length : {2, 5, 6, 41, 48}) {
    const std::vector<float> curve = evaluate_curve(axis, length);
    ASSERT_EQ(curve.size(), static_cast<std::size_t>(length));
    EXPECT_FLOAT_EQ(curve.front(), 0.5F);
    EXPECT_FLOAT_EQ(curve.back(), 0.8125F);
    for (std::int64_t i = 0; i < length; ++i)
      EXPECT_NEAR(curve[static_cast<std::size_t>(i)],
                  0.5 + 0.3125 * static_cast<double>(i) / static_cast<double>(length - 1), 1e-6);
  }
}

TEST(EvaluateCurve, of_one_voxel_is_the_first_sample) {
  EXPECT_EQ(evaluate_curve(line(6, 0.5, 0.0625, std::nullopt), 1), std::vector<float>{0.5F});
}

TEST(EvaluateCurve, of_one_sample_is_constant) {
  EXPECT_EQ(evaluate_curve(line(1, 0.75, 0.0, std::nullopt), 4), std::vector<float>(4, 0.75F));
}

TEST(EvaluateCurve, is_clipped_to_the_limits) {
  const AxisProfile axis = line(5, 0.0, 0.5, Limits{0.25, 1.2});
  EXPECT_EQ(evaluate_curve(axis, 5), (std::vector<float>{0.25F, 0.5F, 1.0F, 1.2F, 1.2F}));
}

TEST(EvaluateCurve, is_evaluated_at_the_position_of_each_voxel) {
  AxisProfile axis;
  axis.profile = {0.9F, 0.4F, 1.1F, 0.7F, 0.8F};
  const std::vector<double> samples(axis.profile.begin(), axis.profile.end());
  axis.spline = numerics::smoothing_spline(samples, 0.0);
  axis.limits = Limits{0.5, 1.0};
  const std::vector<float> curve = evaluate_curve(axis, 33);
  for (std::size_t i = 0; i < curve.size(); ++i)
    EXPECT_EQ(curve[i], static_cast<float>(std::clamp(
                            (*axis.spline)(static_cast<double>(i) * 4.0 / 32.0), 0.5, 1.0)));
}

TEST(GlobalRatio, is_the_factor_over_the_level) {
  EXPECT_EQ(global_ratio(100.0, 40.0, std::nullopt).value, 2.5F);
  EXPECT_EQ(global_ratio(100.0, 3.0, std::nullopt).value, static_cast<float>(100.0 / 3.0));
  EXPECT_FALSE(global_ratio(100.0, 40.0, std::nullopt).clamped);
}

TEST(GlobalRatio, is_clamped_to_the_limits) {
  const Limits limits{0.5, 2.0};
  EXPECT_EQ(global_ratio(100.0, 40.0, limits).value, 2.0F);
  EXPECT_TRUE(global_ratio(100.0, 40.0, limits).clamped);
  EXPECT_EQ(global_ratio(1.0, 40.0, limits).value, 0.5F);
  EXPECT_TRUE(global_ratio(1.0, 40.0, limits).clamped);
  EXPECT_EQ(global_ratio(80.0, 40.0, limits).value, 2.0F);
  EXPECT_FALSE(global_ratio(80.0, 40.0, limits).clamped) << "on the limit, not beyond";
}

}  // namespace
}  // namespace flatfield::methods
