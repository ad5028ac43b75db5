#include "flatfield/methods/foreground_weight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

void parallel_backwards(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::vector<std::jthread> threads;
  for (std::int64_t t = 0; t < 3; ++t)
    threads.emplace_back([=, &body] {
      for (std::int64_t i = count - 1 - t; i >= 0; i -= 3) body(i);
    });
}

/// A bright block in noise; the first three planes are background.
struct Scene {
  Block<float> v_low;
  Block<std::uint8_t> mask;
  std::vector<std::int64_t> planes{0, 1, 2};
};

Scene scene() {
  std::mt19937 random(4);
  const Extent3 shape{24, 26, 28};
  Scene made{Block<float>(shape), Block<std::uint8_t>(shape, 0)};
  for (std::int64_t i = 0; i < made.v_low.size(); ++i) {
    const Extent3 p = unravel(i, shape);
    const bool bright = p.z >= 10 && p.z < 20 && p.y >= 8 && p.y < 18 && p.x >= 8 && p.x < 20;
    const bool masked = p.z >= 7 && p.z < 23 && p.y >= 5 && p.y < 21 && p.x >= 5 && p.x < 23;
    made.v_low.data()[i] = static_cast<float>(random() % 6 + (bright ? 60 + random() % 20 : 0));
    made.mask.data()[i] = masked && made.v_low.data()[i] != 0 ? 1 : 0;
  }
  return made;
}

ForegroundWeightOptions mixture_options() {
  ForegroundWeightOptions options;
  options.probability_model = ProbabilityModel::kGaussianMixture;
  return options;
}

Block<float> weigh(const Scene& s, const ForegroundWeightOptions& options,
                   const ParallelFor& parallel_for = serial_for) {
  return foreground_weight(s.v_low.view(), BitVolume(s.mask.view()).view(), s.planes, options, parallel_for);
}

std::string refusal(const Scene& s, const ForegroundWeightOptions& options) {
  try {
    (void)weigh(s, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  return "";
}

bool same_bits(const Block<float>& a, const Block<float>& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}

/// One row of values 0, 1, ..., 100 of a background that holds them all.
Scene row_of_values() {
  Scene s{Block<float>({1, 1, 101}), Block<std::uint8_t>({1, 1, 101}, 1), {0}};
  for (std::int64_t x = 0; x <= 100; ++x) s.v_low.data()[x] = static_cast<float>(x);
  return s;
}

TEST(PercentileWeight, rises_from_eps_to_one_minus_eps_between_the_percentiles) {
  ForegroundWeightOptions options;
  options.probability_smooth_sigma = 0;
  options.probability_bg_low_percentile = 20;
  options.probability_bg_high_percentile = 80;
  options.probability_ramp_start_frac = 0;
  options.probability_ramp_eps = 0.01;
  const Block<float> weight = weigh(row_of_values(), options);
  for (std::int64_t x = 0; x <= 20; ++x) EXPECT_NEAR(weight.data()[x], 0.01, 1e-6);
  EXPECT_NEAR(weight.data()[50], 0.5, 1e-6) << "a logistic curve is symmetric";
  for (std::int64_t x = 80; x <= 100; ++x) EXPECT_NEAR(weight.data()[x], 0.99, 1e-6);
  EXPECT_TRUE(std::is_sorted(weight.span().begin(), weight.span().end()));
}

TEST(PercentileWeight, does_not_mind_the_order_of_the_percentiles) {
  ForegroundWeightOptions options;
  options.probability_bg_low_percentile = 20;
  options.probability_bg_high_percentile = 80;
  const Block<float> weight = weigh(row_of_values(), options);
  std::swap(options.probability_bg_low_percentile, options.probability_bg_high_percentile);
  EXPECT_TRUE(same_bits(weight, weigh(row_of_values(), options)));
}

TEST(PercentileWeight, is_a_step_where_the_background_is_constant) {
  Scene s = row_of_values();
  s.v_low = Block<float>({2, 1, 3}, 5.0F);
  s.v_low.at(1, 0, 2) = 5.5F;
  ForegroundWeightOptions options;
  options.probability_smooth_sigma = 0;
  const Block<float> weight = weigh(s, options);
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_EQ(weight.data()[i], i == 5 ? 1.0F : 0.0F);
}

TEST(PercentileWeight, of_ramps_steeper_than_float_holds_agrees_with_the_double_formula) {
  for (const auto& [start, nu] : std::vector<std::pair<double, double>>{{0.85, 1.0}, {0.0, 9.0}}) {
    ForegroundWeightOptions options;
    options.probability_smooth_sigma = 0;
    options.probability_bg_low_percentile = 0;
    options.probability_bg_high_percentile = 100;
    options.probability_ramp_start_frac = start;
    options.probability_ramp_nu = nu;
    const double eps = options.probability_ramp_eps;
    const double a_start = std::pow(eps, -nu) - 1, a_high = std::pow(1 - eps, -nu) - 1;
    const double b = std::log(a_start / a_high) / (1 - start);
    const double q = a_high * std::exp(b);
    const Block<float> weight = weigh(row_of_values(), options);
    for (std::int64_t x = 0; x <= 100; ++x) {
      const double t = static_cast<double>(static_cast<float>(x) / 100.0F);
      const double expected = std::pow(1 + q * std::exp(-b * t), -1 / nu);
      EXPECT_NEAR(weight.data()[x], expected, 1e-6 * expected + 2e-45) << x;
    }
  }
}

TEST(PercentileWeight, refuses_to_do_without_background_planes) {
  Scene s = scene();
  s.planes.clear();
  EXPECT_NE(refusal(s, {}).find("no background planes"), std::string::npos);
}

TEST(ForegroundWeight, lies_between_zero_and_one_and_does_not_depend_on_the_number_of_threads) {
  const Scene s = scene();
  for (const ForegroundWeightOptions& options : {ForegroundWeightOptions{}, mixture_options()}) {
    const Block<float> one = weigh(s, options);
    EXPECT_TRUE(same_bits(one, weigh(s, options, parallel_backwards)));
    for (const float w : one.span()) ASSERT_TRUE(w >= 0.0F && w <= 1.0F) << w;
    EXPECT_GT(one.at(15, 13, 14), 0.9F);
    EXPECT_LT(one.at(1, 2, 2), 0.5F);
  }
}

TEST(MixtureWeight, is_zero_outside_the_mask) {
  const Scene s = scene();
  const Block<float> weight = weigh(s, mixture_options());
  for (std::int64_t i = 0; i < weight.size(); ++i)
    if (s.mask.data()[i] == 0) {
      ASSERT_EQ(weight.data()[i], 0.0F);
    }
}

TEST(MixtureWeight, takes_a_mask_that_covers_everything) {
  Scene s = scene();
  for (std::uint8_t& m : s.mask.span()) m = 1;
  const Block<float> weight = weigh(s, mixture_options());
  EXPECT_GT(weight.at(15, 13, 14), 0.9F);
  EXPECT_LT(weight.at(1, 2, 2), 0.5F);
}

TEST(MixtureWeight, of_a_volume_without_any_variation_is_one_half) {
  Scene s = scene();
  for (float& v : s.v_low.span()) v = 3.0F;
  for (std::uint8_t& m : s.mask.span()) m = 1;
  const Block<float> weight = weigh(s, mixture_options());
  for (const float w : weight.span()) ASSERT_NEAR(w, 0.5F, 1e-3F);
}

TEST(MixtureWeight, refuses_samples_that_are_fewer_than_the_components) {
  Scene thin = scene();
  for (std::int64_t i = 0; i < thin.mask.size(); ++i)
    thin.mask.data()[i] = unravel(i, thin.mask.shape()).y == 10 ? 1 : 0;
  EXPECT_NE(refusal(thin, mixture_options()).find("0 voxels of the mask eroded by 2"),
            std::string::npos);
  Scene no_background = scene();
  no_background.planes.clear();
  EXPECT_NE(refusal(no_background, mixture_options()).find("0 voxels of the background planes"),
            std::string::npos);
  ForegroundWeightOptions two_samples = mixture_options();
  two_samples.gmm_max_samples = 2;
  EXPECT_NE(refusal(scene(), two_samples).find("2 voxels of the mask"), std::string::npos);
  ForegroundWeightOptions many_components = mixture_options();
  many_components.gmm_n_components = std::int64_t{1} << 40;
  EXPECT_NE(refusal(scene(), many_components).find("too few"), std::string::npos);
}

TEST(MixtureWeight, without_erosion_takes_a_thin_mask) {
  Scene thin = scene();
  for (std::int64_t i = 0; i < thin.mask.size(); ++i)
    thin.mask.data()[i] = unravel(i, thin.mask.shape()).y == 10 ? 1 : 0;
  ForegroundWeightOptions options = mixture_options();
  options.erosion_radius = 0;
  EXPECT_EQ(refusal(thin, options), "");
}

}  // namespace
}  // namespace flatfield::methods
