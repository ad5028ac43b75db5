#include "flatfield/methods/level_correction.h"

#include <gtest/gtest.h>

#include <random>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

constexpr unsigned kSeed = 4711;

Block<float> random_level(const Extent3& shape, float largest) {
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  std::uniform_real_distribution<float> values(0.0F, largest);
  Block<float> out(shape);
  for (float& v : out.span()) v = values(random);
  return out;
}

/// A level, corrected in two halves.
Block<float> corrected_level(const Correction& correction, const std::optional<AxisFit>& fit,
                             BlockView<const float> v_low, const ParallelFor& parallel_for) {
  const LevelCorrection level(correction, fit, v_low.shape, parallel_for);
  Block<float> out(v_low.shape);
  copy_block<float>(v_low, out.view());
  const std::int64_t half = v_low.shape.y / 2;
  for (const Box3& box : {Box3{{0, 0, 0}, {v_low.shape.z, half, v_low.shape.x}},
                          Box3{{0, half, 0}, {v_low.shape.z, v_low.shape.y - half, v_low.shape.x}}})
    level.apply(box, out.view().sub(box));
  return out;
}

/// A correction by curves of a volume twice as large as the level, whose x axis is not corrected.
struct Fitted {
  Block<float> v_low = random_level({6, 7, 8}, 100.0F);
  Correction correction;
  std::optional<AxisFit> fit;

  Fitted() {
    BitVolume mask(v_low.shape(), true);
    mask.set(2, 3, 4, false);
    FittingOptions options;
    options.limits_x = Limits{1.0, 1.0};
    BlockStream stream(v_low.view());
    fit = fit_axes(stream, FitMask(mask.view()), 50.0, 2.0, options, 100000);
    correction.shape = {12, 14, 16};
    correction.mask = std::move(mask);
    correction.curves =
        AxisCurves{evaluate_curve(fit->axes[0], 12), evaluate_curve(fit->axes[1], 14),
                   evaluate_curve(fit->axes[2], 16), 3.0F};
  }
};

TEST(CorrectedLevel, without_a_flatfield_is_the_level_itself) {
  const Block<float> v_low = random_level({2, 3, 4}, 10.0F);
  const Block<float> out = corrected_level(Correction{}, std::nullopt, v_low.view(), serial_for);
  EXPECT_TRUE(std::equal(out.span().begin(), out.span().end(), v_low.span().begin()));
}

TEST(CorrectedLevel, applies_the_curves_at_the_length_of_the_level_inside_the_mask) {
  const Fitted f;
  const Block<float> out = corrected_level(f.correction, f.fit, f.v_low.view(), serial_for);
  const std::vector<float> z = evaluate_curve(f.fit->axes[0], 6);
  const std::vector<float> y = evaluate_curve(f.fit->axes[1], 7);
  for (std::int64_t i = 0; i < 6; ++i)
    for (std::int64_t j = 0; j < 7; ++j)
      for (std::int64_t k = 0; k < 8; ++k) {
        const float v = f.v_low.at(i, j, k);
        const float expected = v * (1.0F / y[static_cast<std::size_t>(j)]) *
                               (1.0F / z[static_cast<std::size_t>(i)]) * 3.0F;
        EXPECT_EQ(out.at(i, j, k), f.correction.mask->at(i, j, k) ? expected : v);
      }
}

TEST(CorrectedLevel, of_a_curve_that_reaches_zero_holds_only_numbers_that_can_be_written) {
  Fitted f;
  f.fit->axes[0].limits = std::nullopt;
  f.fit->axes[0].spline = numerics::smoothing_spline(std::vector<double>(6, 0.0), 0.0);
  f.v_low.at(1, 1, 1) = 0.0F;
  const Block<float> out = corrected_level(f.correction, f.fit, f.v_low.view(), serial_for);
  EXPECT_EQ(out.at(1, 1, 1), 0.0F);
  EXPECT_EQ(out.at(1, 1, 2), 65535.0F);
}

TEST(CorrectedLevel, refuses_curves_without_a_fit_or_a_mask_of_the_level) {
  const Fitted f;
  const Block<float> other({1, 1, 1}, 1.0F);
  EXPECT_THROW(
      static_cast<void>(corrected_level(f.correction, std::nullopt, f.v_low.view(), serial_for)),
      Error);
  EXPECT_THROW(static_cast<void>(corrected_level(f.correction, f.fit, other.view(), serial_for)),
               Error);
}

TEST(CorrectedLevel, subtracts_the_darkfield_and_divides_by_the_flatfield_everywhere) {
  const Block<float> v_low = random_level({3, 2, 2}, 100.0F);
  Correction correction;
  correction.image = ImageFlatfield{Block<float>({1, 2, 2}, 0.5F), Block<float>({1, 2, 2}, 20.0F)};
  const Block<float> out = corrected_level(correction, std::nullopt, v_low.view(), serial_for);
  for (std::int64_t i = 0; i < out.size(); ++i)
    EXPECT_EQ(out.data()[i], std::max(0.0F, (v_low.data()[i] - 20.0F) / 0.5F));
}

TEST(CorrectedLevel, resizes_the_images_to_the_level_and_clips_to_what_can_be_written) {
  Correction correction;
  correction.image = ImageFlatfield{Block<float>({1, 8, 8}, 0.001F), std::nullopt};
  const Block<float> v_low({1, 2, 4}, 100.0F);
  const Block<float> out = corrected_level(correction, std::nullopt, v_low.view(), serial_for);
  for (const float v : out.span()) EXPECT_EQ(v, 65535.0F);
}

}  // namespace
}  // namespace flatfield::methods
