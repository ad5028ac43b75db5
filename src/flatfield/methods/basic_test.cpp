#include "flatfield/methods/basic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

/// The flatfields of the scenes reach from 0.6 to 1.2; noise and objects leave this error.
constexpr double kTolerance = 0.08;

/// Frames of random texture and brightness under a known flatfield of mean 1.
struct Scene {
  explicit Scene(unsigned seed, std::int64_t frames = 30, std::int64_t size = 32)
      : images({frames, size, size}) {
    std::mt19937 random(seed);
    std::gamma_distribution<double> texture(1.0, 40.0);
    std::uniform_real_distribution<double> level(0.7, 1.3);
    double sum = 0.0;
    for (std::int64_t y = 0; y < size; ++y)
      for (std::int64_t x = 0; x < size; ++x) {
        const auto u = [&](std::int64_t i) {
          return (static_cast<double>(i) + 0.5) / static_cast<double>(size);
        };
        flatfield.push_back(1.4 -
                            1.2 * ((u(y) - 0.4) * (u(y) - 0.4) + (u(x) - 0.6) * (u(x) - 0.6)));
        sum += flatfield.back();
      }
    for (double& v : flatfield) v *= static_cast<double>(flatfield.size()) / sum;
    for (std::int64_t n = 0; n < frames; ++n) {
      levels.push_back(200.0 * level(random));
      for (std::size_t i = 0; i < flatfield.size(); ++i) {
        const double object = random() % 10 == 0 ? texture(random) * 5.0 : 0.0;
        images.plane(n).data[i] =
            static_cast<float>((levels.back() + object + texture(random) / 40.0) * flatfield[i]);
      }
    }
  }
  [[nodiscard]] FrameStack stack() const { return FrameStack(images.view()); }

  Block<float> images;
  std::vector<double> flatfield;
  std::vector<double> levels;
};

BasicOptions small_options() {
  BasicOptions options;
  options.working_size = WorkingSize{32, 32};
  return options;
}

BasicFit fit(const Scene& scene, const BasicOptions& options) {
  return fit_basic(scene.stack(), std::nullopt, options, BasicOutput::kFieldsAndBaseline,
                   serial_for);
}

double worst_error(const BasicFit& found, const Scene& scene) {
  double worst = 0.0;
  for (std::size_t i = 0; i < scene.flatfield.size(); ++i)
    worst = std::max(worst,
                     std::abs(static_cast<double>(found.flatfield.data()[i]) - scene.flatfield[i]));
  return worst;
}

std::string refusal(const FrameStack& stack, const BasicOptions& options, ErrorCode code) {
  try {
    (void)fit_basic(stack, std::nullopt, options, BasicOutput::kFields, serial_for);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

TEST(Basic, finds_the_flatfield_and_the_brightness_of_each_frame) {
  const Scene scene(1);
  for (const BasicMode mode : {BasicMode::kLadmap, BasicMode::kApproximate})
    for (const bool sort : {false, true}) {
      SCOPED_TRACE(testing::Message() << "mode " << static_cast<int>(mode) << ", sorted " << sort);
      BasicOptions options = small_options();
      options.fitting_mode = mode;
      options.sort_intensity = sort;
      const BasicFit found = fit(scene, options);
      EXPECT_LT(worst_error(found, scene), kTolerance);
      ASSERT_EQ(found.baseline.size(), scene.levels.size());
      for (std::size_t n = 0; n < scene.levels.size(); ++n)
        EXPECT_NEAR(found.baseline[n], scene.levels[n], 0.05 * scene.levels[n]);
      EXPECT_TRUE(found.reweight_converged);
      EXPECT_TRUE(found.warnings.empty()) << found.warnings.front();
      EXPECT_EQ(found.baseline_solves.size(), sort ? 5U : 0U);
      EXPECT_TRUE(std::all_of(found.darkfield.span().begin(), found.darkfield.span().end(),
                              [](float v) { return v == 0.F; }));
    }
}

TEST(Basic, gives_fields_of_the_size_of_the_frames) {
  const Scene scene(2);
  BasicOptions options = small_options();
  options.working_size = WorkingSize{20, 24};
  const BasicFit found = fit(scene, options);
  EXPECT_EQ(found.flatfield.shape(), (Extent3{1, 32, 32}));
  EXPECT_EQ(found.darkfield.shape(), (Extent3{1, 32, 32}));
  EXPECT_EQ(found.working_flatfield.shape(), (Extent3{1, 20, 24}));
  EXPECT_LT(worst_error(found, scene), kTolerance);
}

TEST(Basic, without_a_baseline_has_the_same_fields) {
  const Scene scene(3);
  BasicOptions options = small_options();
  options.sort_intensity = true;
  const BasicFit with = fit(scene, options);
  const BasicFit without =
      fit_basic(scene.stack(), std::nullopt, options, BasicOutput::kFields, serial_for);
  EXPECT_TRUE(without.baseline.empty());
  EXPECT_EQ(std::memcmp(with.flatfield.data(), without.flatfield.data(),
                        with.flatfield.span().size_bytes()),
            0);
}

TEST(Basic, of_weights_ignores_what_counts_nothing) {
  const Scene scene(4);
  Scene spoiled(4);
  Block<float> weights(spoiled.images.shape(), 1.F);
  for (std::int64_t n = 0; n < 30; n += 3)
    for (std::int64_t y = 0; y < 8; ++y)
      for (std::int64_t x = 0; x < 8; ++x) {
        spoiled.images.at(n, y, x) += 5000.F;
        weights.at(n, y, x) = 0.F;
      }
  const BasicFit found = fit_basic(spoiled.stack(), FrameStack(weights.view()), small_options(),
                                   BasicOutput::kFields, serial_for);
  EXPECT_LT(worst_error(found, scene), kTolerance);
}

TEST(Basic, of_a_fitter_that_was_used_before_is_the_same) {
  const Scene scene(5);
  BasicOptions options = small_options();
  options.sort_intensity = true;
  Block<float> weights(scene.images.shape(), 1.F);
  std::mt19937 random(5);
  for (float& w : weights.span()) w = random() % 4 == 0 ? 0.F : 1.F;
  BasicFitter fitter(scene.stack(), FrameStack(weights.view()), options, serial_for);
  const BasicSmoothness smoothness = smoothness_of(options);
  const auto first = fitter.fit(smoothness, BasicOutput::kFieldsAndBaseline);
  const auto other = fitter.fit({0.1, 1.0, 0.01}, BasicOutput::kFields);
  const auto again = fitter.fit(smoothness, BasicOutput::kFieldsAndBaseline);
  ASSERT_TRUE(first && other && again);
  const auto same = [](const Block<float>& a, const Block<float>& b) {
    return std::memcmp(a.data(), b.data(), a.span().size_bytes()) == 0;
  };
  EXPECT_TRUE(same(first->flatfield, again->flatfield));
  EXPECT_FALSE(same(first->flatfield, other->flatfield));
  EXPECT_EQ(first->baseline, again->baseline);
}

TEST(Basic, says_which_solves_stopped_at_the_limit) {
  BasicOptions options = small_options();
  options.max_iterations = 3;
  options.max_reweight_iterations = 2;
  options.mu_coef = 1e5;  // otherwise three iterations do not get beyond a flatfield of zero
  const BasicFit found = fit(Scene(6), options);
  ASSERT_EQ(found.solves.size(), 2U);
  EXPECT_FALSE(found.solves[0].converged);
  EXPECT_EQ(found.solves[0].iterations, 3);
  ASSERT_FALSE(found.warnings.empty());
  EXPECT_NE(found.warnings[0].find("stopped at 3 iterations: solve 1"), std::string::npos)
      << found.warnings[0];
}

TEST(Basic, refuses_images_whose_flatfield_is_zero) {
  const Block<float> zeros({5, 16, 16}, 0.F);
  EXPECT_NE(refusal(FrameStack(zeros.view()), small_options(), ErrorCode::kBadInput)
                .find("flatfield is zero"),
            std::string::npos);
  BasicOptions options = small_options();
  options.smoothness_flatfield = 1e9;
  EXPECT_NE(refusal(Scene(7).stack(), options, ErrorCode::kBadInput).find("smoothness_flatfield"),
            std::string::npos);
}

TEST(Basic, refuses_options_out_of_range_and_volumes_in_approximate_mode) {
  const Scene scene(8, 4, 12);
  BasicOptions options = small_options();
  options.epsilon = 0.0;
  EXPECT_NE(refusal(scene.stack(), options, ErrorCode::kUsage).find("epsilon"), std::string::npos);
  options = small_options();
  options.max_iterations = 0;
  EXPECT_NE(refusal(scene.stack(), options, ErrorCode::kUsage).find("max_iterations"),
            std::string::npos);
  options = small_options();
  options.rho = std::nan("");
  EXPECT_NE(refusal(scene.stack(), options, ErrorCode::kUsage).find("rho"), std::string::npos);
  options = small_options();
  options.working_size = WorkingSize{0, 5};
  EXPECT_NE(refusal(scene.stack(), options, ErrorCode::kUsage).find("working_size"),
            std::string::npos);
  options = small_options();
  options.fitting_mode = BasicMode::kApproximate;
  const FrameStack volumes(scene.images.data(), 2, {2, 12, 12});
  EXPECT_NE(refusal(volumes, options, ErrorCode::kUsage).find("planes"), std::string::npos);
}

}  // namespace
}  // namespace flatfield::methods
