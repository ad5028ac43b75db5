#include "flatfield/numerics/percentile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

template <class T>
std::vector<T> random_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(random() % 1000) / 8;
  return values;
}

TEST(Percentile, interpolates_between_order_statistics) {
  std::vector<double> values{40, 10, 30, 20};
  EXPECT_EQ(percentile(std::span(values), 0), 10);
  EXPECT_EQ(percentile(std::span(values), 100), 40);
  EXPECT_EQ(percentile(std::span(values), 50), 25);
  EXPECT_DOUBLE_EQ(percentile(std::span(values), 10), 13);
}

TEST(Percentile, of_one_value_is_that_value) {
  std::vector<float> values{7.5F};
  for (const double q : {0.0, 33.0, 100.0}) EXPECT_EQ(percentile(std::span(values), q), 7.5);
}

TEST(Percentile, equals_the_sorted_twin) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::vector<float> values = random_values<float>(1 + random() % 50, seed);
    const double q = static_cast<double>(random() % 1001) / 10;
    std::vector<float> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    const double position = static_cast<double>(sorted.size() - 1) * (q / 100);
    const double below = sorted[static_cast<std::size_t>(std::floor(position))];
    const double above = sorted[static_cast<std::size_t>(std::ceil(position))];
    const double expected = below + (above - below) * (position - std::floor(position));
    EXPECT_NEAR(percentile(std::span(values), q), expected, 1e-12);
    EXPECT_TRUE(std::is_permutation(values.begin(), values.end(), sorted.begin()));
  }
}

TEST(Percentile, interpolates_from_the_nearer_end_as_numpy_does) {
  // From the far end the result would be rounded to a multiple of 16.
  std::vector<double> values{-1e17, 1.0};
  const double t = std::nextafter(100.0, 0.0) / 100;
  ASSERT_LT(t, 1.0);
  EXPECT_EQ(percentile(std::span(values), std::nextafter(100.0, 0.0)), 1.0 - 1e17 * (1 - t));
  EXPECT_EQ(percentile(std::span(values), 25), -1e17 + 1e17 * 0.25);
}

TEST(Percentile, of_floats_takes_their_difference_in_float_as_numpy_does) {
  std::vector<float> values{-1.F, 16777216.F};
  EXPECT_EQ(percentile(std::span(values), 25), -1.0 + 16777216.0 * 0.25);
}

TEST(Percentile, refuses_no_values_and_impossible_percentages) {
  std::vector<float> none;
  std::vector<float> some{1.F};
  EXPECT_THROW((void)percentile(std::span(none), 50), Error);
  EXPECT_THROW((void)percentile(std::span(some), -1), Error);
  EXPECT_THROW((void)percentile(std::span(some), 100.5), Error);
  EXPECT_THROW((void)percentile(std::span(some), std::nan("")), Error);
}

TEST(Median, is_the_middle_value_or_the_mean_of_the_two_middle_ones) {
  std::vector<float> odd{3, 1, 2};
  EXPECT_EQ(median(odd), 2.F);
  std::vector<float> even{4, 1, 2, 3};
  EXPECT_EQ(median(even), 2.5F);
  std::vector<float> one{9};
  EXPECT_EQ(median(one), 9.F);
  std::vector<float> none;
  EXPECT_THROW((void)median(none), Error);
}

TEST(Median, equals_the_sorted_twin) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::vector<float> values = random_values<float>(1 + seed % 37, seed);
    std::vector<float> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t n = sorted.size();
    EXPECT_EQ(median(values), (sorted[(n - 1) / 2] + sorted[n / 2]) / 2);
  }
}

TEST(MomentsOfValues, are_the_mean_and_the_population_deviation) {
  const std::vector<float> values{2, 4, 4, 4, 5, 5, 7, 9};
  const Moments result = moments(values);
  EXPECT_EQ(result.mean, 5);
  EXPECT_EQ(result.deviation, 2);
  EXPECT_THROW((void)moments({}), Error);
}

TEST(MomentsOfValues, count_every_value_whatever_the_length) {
  for (std::size_t count = 1; count <= 40; ++count) {
    const std::vector<float> values = random_values<float>(count, 5);
    long double sum = 0;
    for (const float value : values) sum += value;
    const long double mean = sum / static_cast<long double>(count);
    long double squares = 0;
    for (const float value : values) squares += (value - mean) * (value - mean);
    const Moments result = moments(values);
    EXPECT_NEAR(result.mean, static_cast<double>(mean), 1e-12) << count;
    const long double variance = squares / static_cast<long double>(count);
    EXPECT_NEAR(result.deviation, std::sqrt(static_cast<double>(variance)), 1e-11) << count;
  }
}

TEST(MomentsOfValues, keep_a_small_deviation_on_a_large_offset) {
  std::vector<float> values(1000, 60000.F);
  for (std::size_t i = 0; i < values.size(); i += 2) values[i] = 60000.125F;
  EXPECT_NEAR(moments(values).deviation, 0.0625, 1e-12);
}

TEST(HistogramPercentile, interpolates_inside_the_first_bin_that_reaches_the_target) {
  // Ten values: 2, 3 x 4, 5 x 5. Half of them is reached at the end of bin 3.
  const std::vector<std::int64_t> counts{0, 0, 1, 4, 0, 5};
  EXPECT_EQ(histogram_percentile(counts, 50), 4.0);
  EXPECT_EQ(histogram_percentile(counts, 30), 3.5);
  EXPECT_EQ(histogram_percentile(counts, 60), 5.2);
  EXPECT_EQ(histogram_percentile(counts, 100), 6.0);
}

TEST(HistogramPercentile, of_an_empty_bin_is_its_lower_edge) {
  const std::vector<std::int64_t> counts{0, 0, 1};
  EXPECT_EQ(histogram_percentile(counts, 0), 0.0);
  const std::vector<std::int64_t> nothing{0, 0, 0};
  EXPECT_EQ(histogram_percentile(nothing, 50), 0.0);
  EXPECT_THROW((void)histogram_percentile({}, 50), Error);
  EXPECT_THROW((void)histogram_percentile(counts, 101), Error);
}

/// The definition word by word: sort, cumulate, divide, search.
float naive_weighted_percentile(std::vector<WeightedValue> samples, double q) {
  std::stable_sort(samples.begin(), samples.end(),
                   [](const auto& a, const auto& b) { return a.value < b.value; });
  std::vector<double> shares;
  double sum = 0;
  for (const WeightedValue& sample : samples) shares.push_back(sum += sample.weight);
  for (double& share : shares) share /= sum;
  for (std::size_t i = 0; i < samples.size(); ++i)
    if (shares[i] > 0 && shares[i] >= q / 100) return samples[i].value;
  return samples.back().value;
}

TEST(WeightedPercentile, equals_the_naive_twin) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::vector<WeightedValue> samples(1 + random() % (seed % 10 == 0 ? 5000 : 60));
    const float lowest = seed % 2 == 0 ? 0.F : -5.F;
    for (WeightedValue& sample : samples)
      sample = {lowest + static_cast<float>(random() % 40) / 4,
                random() % 3 == 0 ? 0.F : static_cast<float>(random() % 1000) / 997};
    samples[0].weight = 0.5F;
    for (const double q : {0.0, 100.0, 50.0, static_cast<double>(random() % 1001) / 10}) {
      std::vector<WeightedValue> scratch = samples;
      ASSERT_EQ(weighted_percentile(scratch, q), naive_weighted_percentile(samples, q)) << q;
    }
  }
}

TEST(WeightedPercentile, of_equal_weights_is_the_first_value_whose_rank_reaches_the_share) {
  std::vector<WeightedValue> samples{{40, 0.25F}, {10, 0.25F}, {30, 0.25F}, {20, 0.25F}};
  for (const auto& [q, expected] : std::vector<std::pair<double, float>>{
           {0, 10}, {25, 10}, {25.1, 20}, {50, 20}, {75, 30}, {99, 40}, {100, 40}})
    EXPECT_EQ(weighted_percentile(samples, q), expected) << q;
}

TEST(WeightedPercentile, passes_over_values_without_weight) {
  std::vector<WeightedValue> samples{{1, 0}, {2, 1}, {3, 0}, {4, 1}, {5, 0}};
  EXPECT_EQ(weighted_percentile(samples, 0), 2);
  EXPECT_EQ(weighted_percentile(samples, 50), 2);
  EXPECT_EQ(weighted_percentile(samples, 51), 4);
  EXPECT_EQ(weighted_percentile(samples, 100), 4);
}

TEST(WeightedPercentile, orders_negative_values_and_both_zeros) {
  std::vector<WeightedValue> samples{{1e30F, 1}, {0.F, 1}, {-1e-30F, 1}, {-0.F, 1}, {-2, 1}};
  EXPECT_EQ(weighted_percentile(samples, 20), -2);
  EXPECT_EQ(weighted_percentile(samples, 40), -1e-30F);
  EXPECT_EQ(weighted_percentile(samples, 60), 0);
  EXPECT_EQ(weighted_percentile(samples, 80), 0);
  EXPECT_EQ(weighted_percentile(samples, 100), 1e30F);
}

TEST(WeightedPercentile, refuses_no_weight_at_all_and_impossible_percentages) {
  std::vector<WeightedValue> none;
  std::vector<WeightedValue> weightless{{1, 0}, {2, 0}};
  std::vector<WeightedValue> some{{1, 1}};
  EXPECT_THROW((void)weighted_percentile(none, 50), Error);
  EXPECT_THROW((void)weighted_percentile(weightless, 50), Error);
  EXPECT_THROW((void)weighted_percentile(some, 101), Error);
  some[0].weight = INFINITY;
  EXPECT_THROW((void)weighted_percentile(some, 50), Error);
}

TEST(WeightedHistogramPercentile, is_the_lower_edge_of_the_first_bin_that_reaches_the_target) {
  const std::vector<double> weights{0, 0, 0.5, 2, 0, 2.5, 0};
  EXPECT_EQ(weighted_histogram_percentile(weights, 0), 0.0);
  EXPECT_EQ(weighted_histogram_percentile(weights, 1), 2.0);
  EXPECT_EQ(weighted_histogram_percentile(weights, 10), 2.0);
  EXPECT_EQ(weighted_histogram_percentile(weights, 50), 3.0);
  EXPECT_EQ(weighted_histogram_percentile(weights, 51), 5.0);
  EXPECT_EQ(weighted_histogram_percentile(weights, 100), 5.0);
}

TEST(WeightedHistogramPercentile, of_no_weight_is_zero) {
  const std::vector<double> nothing{0, 0, 0};
  EXPECT_EQ(weighted_histogram_percentile(nothing, 50), 0.0);
  EXPECT_THROW((void)weighted_histogram_percentile({}, 50), Error);
  EXPECT_THROW((void)weighted_histogram_percentile(nothing, -1), Error);
}

}  // namespace
}  // namespace flatfield::numerics
