#include "flatfield/methods/basic_autotune.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

/// Noise under a flatfield that falls off from the middle.
Block<float> shaded_frames(unsigned seed) {
  std::mt19937 random(seed);
  std::gamma_distribution<float> value(2.F, 50.F);
  Block<float> out({12, 24, 24});
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const Extent3 at = unravel(i, out.shape());
    const double r2 = std::pow((static_cast<double>(at.y) - 11.5) / 24, 2) +
                      std::pow((static_cast<double>(at.x) - 11.5) / 24, 2);
    out.data()[i] = value(random) * static_cast<float>(1.2 - r2);
  }
  return out;
}

BasicOptions unresized() {
  BasicOptions options;
  options.working_size.reset();
  return options;
}

TEST(BasicAutotune, evaluates_the_whole_grid_without_a_darkfield_and_takes_the_best) {
  const Block<float> images = shaded_frames(1);
  const BasicAutotune tuned =
      autotune_basic(FrameStack(images.view()), std::nullopt, unresized(), {}, serial_for);
  ASSERT_EQ(tuned.candidates.size(), 15U);
  std::set<double> values;
  double best = std::numeric_limits<double>::infinity();
  for (const BasicCandidate& candidate : tuned.candidates) {
    values.insert(candidate.smoothness.flatfield);
    EXPECT_EQ(candidate.smoothness.darkfield, 1.0);
    if (candidate.cost.cost < best) best = candidate.cost.cost;
  }
  EXPECT_EQ(values.size(), 15U);
  EXPECT_NEAR(*values.begin(), 1e-3, 1e-15);
  EXPECT_NEAR(*values.rbegin(), 10.0, 1e-12);
  for (const BasicCandidate& candidate : tuned.candidates)
    if (candidate.smoothness == tuned.best) {
      EXPECT_EQ(candidate.cost.cost, best);
    }
}

TEST(BasicAutotune, costs_are_those_of_the_fits) {
  const Block<float> images = shaded_frames(2);
  const FrameStack stack(images.view());
  const BasicAutotune tuned = autotune_basic(stack, std::nullopt, unresized(), {}, serial_for);
  const auto fit_with = [&](const BasicSmoothness& smoothness) {
    BasicOptions options = unresized();
    options.smoothness_flatfield = smoothness.flatfield;
    return fit_basic(stack, std::nullopt, options, BasicOutput::kFields, serial_for);
  };
  const BasicFit first = fit_with(tuned.candidates[0].smoothness);
  EXPECT_NEAR(tuned.candidates[0].smoothness.flatfield, 0.1, 1e-15);
  const double range =
      entropy_range(stack, first.flatfield.view(), first.darkfield.view(), {}, serial_for);
  int costs = 0;
  for (const BasicCandidate& candidate : tuned.candidates) {
    const BasicFit fit = fit_with(candidate.smoothness);
    const auto [low, high] =
        std::minmax_element(fit.flatfield.span().begin(), fit.flatfield.span().end());
    if (*high - *low < 1e-5F) {  // a flatfield of ones has no cost
      EXPECT_TRUE(std::isinf(candidate.cost.cost));
      continue;
    }
    ++costs;
    EXPECT_EQ(candidate.cost.cost, measure_cost(stack, std::nullopt, fit.flatfield.view(),
                                                fit.darkfield.view(), range, {}, serial_for)
                                       .cost);
  }
  EXPECT_GE(costs, 10);
}

TEST(BasicAutotune, with_a_darkfield_keeps_within_its_evaluations) {
  const Block<float> images = shaded_frames(3);
  BasicOptions options = unresized();
  options.get_darkfield = true;
  BasicAutotuneOptions autotune;
  for (const std::int64_t most : {12, 30}) {
    autotune.max_evaluations = most;
    const BasicAutotune tuned =
        autotune_basic(FrameStack(images.view()), std::nullopt, options, autotune, serial_for);
    EXPECT_LE(static_cast<std::int64_t>(tuned.candidates.size()), most);
    EXPECT_GE(static_cast<std::int64_t>(tuned.candidates.size()), std::min<std::int64_t>(most, 17));
  }
}

TEST(BasicAutotune, refuses_images_without_a_flatfield_and_no_evaluations) {
  const Block<float> zeros({3, 16, 16}, 0.F);
  EXPECT_THROW(
      (void)autotune_basic(FrameStack(zeros.view()), std::nullopt, unresized(), {}, serial_for),
      Error);
  const Block<float> images = shaded_frames(4);
  BasicAutotuneOptions none;
  none.max_evaluations = 0;
  EXPECT_THROW(
      (void)autotune_basic(FrameStack(images.view()), std::nullopt, unresized(), none, serial_for),
      Error);
  const FrameStack volumes(images.data(), 6, {2, 24, 24});
  EXPECT_THROW((void)autotune_basic(volumes, std::nullopt, unresized(), {}, serial_for), Error);
}

}  // namespace
}  // namespace flatfield::methods
