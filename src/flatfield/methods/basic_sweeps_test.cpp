#include "flatfield/methods/basic_sweeps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace flatfield::methods {
namespace {

using Vector = std::vector<double>;

/// A state in the middle of a fit.
struct State {
  State(std::int64_t frames, std::int64_t pixels, unsigned seed) {
    std::mt19937 random(seed);
    const auto fill = [&](Block<float>& block, float low, float high) {
      std::uniform_real_distribution<float> value(low, high);
      block = Block<float>({1, frames, pixels});
      for (float& v : block.span()) v = value(random);
    };
    fill(arrays.images, 0.F, 100.F);
    fill(arrays.explained, 0.F, 100.F);
    fill(arrays.multiplier, -2.F, 2.F);
    fill(arrays.weights, 0.F, 3.F);
    arrays.weight_factor = 0.7;
    std::uniform_real_distribution<double> value(0.5, 1.5);
    for (std::int64_t i = 0; i < pixels; ++i) flatfield.push_back(40.0 * value(random));
    for (std::int64_t i = 0; i < pixels; ++i) darkfield.push_back(5.0 * value(random));
    for (std::int64_t n = 0; n < frames; ++n) baseline.push_back(value(random));
  }
  [[nodiscard]] BasicModel model() const { return {flatfield, baseline, darkfield}; }
  [[nodiscard]] double modelled(std::int64_t n, std::int64_t i) const {
    return baseline[static_cast<std::size_t>(n)] * flatfield[static_cast<std::size_t>(i)] +
           darkfield[static_cast<std::size_t>(i)];
  }

  BasicArrays arrays;
  Vector flatfield;
  Vector darkfield;
  Vector baseline;
};

double shrunk(double x, double threshold) {
  return x > threshold ? x - threshold : x < -threshold ? x + threshold : 0.0;
}

void expect_close(const Vector& found, const Vector& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], expected[i], 1e-6 * (1.0 + std::abs(expected[i]))) << i;
}

void expect_close(const Block<float>& found, const Block<float>& expected) {
  for (std::int64_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found.data()[i], expected.data()[i], 5e-6 * (1.0 + std::abs(expected.data()[i])))
        << i;
}

/// Calls visit(n, i) for every frame and pixel.
template <class Visit>
void for_each_value(const BasicArrays& arrays, Visit visit) {
  for (std::int64_t n = 0; n < arrays.frames(); ++n)
    for (std::int64_t i = 0; i < arrays.pixels(); ++i) visit(n, i);
}

/// Random sizes, odd ones and such of several blocks among them.
std::vector<std::pair<std::int64_t, std::int64_t>> sizes() {
  return {{1, 1}, {3, 2}, {2, 7}, {5, 1023}, {4, 1024}, {3, 1025}, {2, 3001}};
}

TEST(BasicSweeps, shrink_the_residual_as_the_equations_say) {
  constexpr double kMu = 0.25;
  constexpr double kThreshold = 8.0;
  for (const auto& [frames, pixels] : sizes()) {
    SCOPED_TRACE(std::to_string(frames) + " frames of " + std::to_string(pixels) + ", seed 1");
    State state(frames, pixels, 1);
    Block<float> explained = state.arrays.explained.clone();
    ShrinkSums expected;
    expected.projections.assign(static_cast<std::size_t>(frames), 0.0);
    expected.explained.assign(static_cast<std::size_t>(pixels), 0.0);
    expected.multiplier.assign(static_cast<std::size_t>(pixels), 0.0);
    for_each_value(state.arrays, [&](std::int64_t n, std::int64_t i) {
      const double image = state.arrays.images.at(0, n, i);
      const double multiplier = state.arrays.multiplier.at(0, n, i);
      const double residual =
          shrunk(image - state.modelled(n, i) + multiplier / kMu,
                 kThreshold * state.arrays.weights.at(0, n, i) * state.arrays.weight_factor);
      const double change = (image - residual) - explained.at(0, n, i);
      explained.at(0, n, i) = static_cast<float>(image - residual);
      expected.change_squared += change * change;
      expected.projections[static_cast<std::size_t>(n)] +=
          state.flatfield[static_cast<std::size_t>(i)] * (image - residual + multiplier / kMu);
      expected.explained[static_cast<std::size_t>(i)] += image - residual;
      expected.multiplier[static_cast<std::size_t>(i)] += multiplier;
    });
    State other(frames, pixels, 1);
    const ShrinkSums found =
        shrink_residual(state.arrays, state.model(), kMu, kThreshold, true, serial_for);
    expect_close(state.arrays.explained, explained);
    EXPECT_NEAR(found.change_squared, expected.change_squared, 1e-6 * expected.change_squared);
    expect_close(found.projections, expected.projections);
    expect_close(found.explained, expected.explained);
    expect_close(found.multiplier, expected.multiplier);

    const ShrinkSums fewer =
        shrink_residual(other.arrays, other.model(), kMu, kThreshold, false, serial_for);
    EXPECT_EQ(fewer.projections, found.projections);
    EXPECT_TRUE(fewer.explained.empty());
  }
}

TEST(BasicSweeps, update_the_multiplier_as_the_equations_say) {
  constexpr double kMu = 0.25;
  constexpr double kNextMu = 0.375;
  for (const auto& [frames, pixels] : sizes()) {
    SCOPED_TRACE(std::to_string(frames) + " frames of " + std::to_string(pixels) + ", seed 2");
    State state(frames, pixels, 2);
    Block<float> multiplier = state.arrays.multiplier.clone();
    MultiplierSums expected;
    expected.gradient.assign(static_cast<std::size_t>(pixels), 0.0);
    for_each_value(state.arrays, [&](std::int64_t n, std::int64_t i) {
      const double misfit = state.arrays.explained.at(0, n, i) - state.modelled(n, i);
      const double next = multiplier.at(0, n, i) + kMu * misfit;
      multiplier.at(0, n, i) = static_cast<float>(next);
      expected.misfit_squared += misfit * misfit;
      expected.gradient[static_cast<std::size_t>(i)] +=
          state.baseline[static_cast<std::size_t>(n)] * (misfit + next / kNextMu);
    });
    const MultiplierSums found =
        update_multiplier(state.arrays, state.model(), kMu, kNextMu, true, serial_for);
    expect_close(state.arrays.multiplier, multiplier);
    EXPECT_NEAR(found.misfit_squared, expected.misfit_squared, 1e-9 * expected.misfit_squared);
    expect_close(found.gradient, expected.gradient);
  }
}

TEST(BasicSweeps, in_one_pass_are_the_two_with_the_same_model) {
  for (const auto& [frames, pixels] : sizes()) {
    SCOPED_TRACE(std::to_string(frames) + " frames of " + std::to_string(pixels) + ", seed 3");
    State one(frames, pixels, 3);
    State two(frames, pixels, 3);
    const ApproximateSums found = shrink_and_update(one.arrays, one.model(), 0.5, 4.0, serial_for);
    const ShrinkSums shrink_sums =
        shrink_residual(two.arrays, two.model(), 0.5, 4.0, true, serial_for);
    const MultiplierSums multiplier_sums =
        update_multiplier(two.arrays, two.model(), 0.5, 0.5, false, serial_for);
    expect_close(one.arrays.explained, two.arrays.explained);
    expect_close(one.arrays.multiplier, two.arrays.multiplier);
    EXPECT_NEAR(found.misfit_squared, multiplier_sums.misfit_squared,
                1e-5 * multiplier_sums.misfit_squared);
    expect_close(found.explained, shrink_sums.explained);
    const std::vector<std::uint8_t> every(static_cast<std::size_t>(pixels), 1);
    expect_close(found.frame_sums, sum_of_pixels(two.arrays, every, serial_for));
  }
}

TEST(BasicSweeps, sum_up_what_is_chosen) {
  const State state(5, 1500, 4);
  std::vector<std::uint8_t> frames(5);
  std::vector<std::uint8_t> pixels(1500);
  std::mt19937 random(4);
  for (auto& chosen : frames) chosen = random() % 2;
  for (auto& chosen : pixels) chosen = random() % 2;
  Vector over_frames(1500, 0.0);
  Vector over_pixels(5, 0.0);
  for_each_value(state.arrays, [&](std::int64_t n, std::int64_t i) {
    const double value = state.arrays.explained.at(0, n, i);
    over_frames[static_cast<std::size_t>(i)] += frames[static_cast<std::size_t>(n)] * value;
    over_pixels[static_cast<std::size_t>(n)] += pixels[static_cast<std::size_t>(i)] * value;
  });
  expect_close(sum_of_frames(state.arrays, frames, serial_for), over_frames);
  expect_close(sum_of_pixels(state.arrays, pixels, serial_for), over_pixels);
}

double mean_of(const Vector& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST(BasicSweeps, reweight_in_each_of_the_three_forms) {
  constexpr double kEpsilon = 0.1;
  for (const Reweighting form :
       {Reweighting::kLadmap, Reweighting::kApproximate, Reweighting::kApproximateBaseline})
    for (const bool with_base : {false, true}) {
      SCOPED_TRACE(testing::Message() << "form " << static_cast<int>(form) << ", seed 5");
      State state(4, 1027, 5);
      State base(4, 1027, 6);
      Block<double> expected({1, 4, 1027});
      double sum = 0.0;
      for_each_value(state.arrays, [&](std::int64_t n, std::int64_t i) {
        const double residual = static_cast<double>(state.arrays.images.at(0, n, i)) -
                                state.arrays.explained.at(0, n, i);
        const double mean_model =
            state.baseline[static_cast<std::size_t>(n)] * mean_of(state.flatfield) +
            mean_of(state.darkfield);
        const double ratio = form == Reweighting::kLadmap
                                 ? residual / (state.modelled(n, i) + kEpsilon)
                             : form == Reweighting::kApproximate ? residual / (mean_model + 1e-6)
                                                                 : mean_model / (residual + 1e-6);
        const double weight = 1.0 / (std::abs(ratio) + kEpsilon);
        sum += weight;
        expected.at(0, n, i) = weight * (with_base ? base.arrays.weights.at(0, n, i) : 1.0);
      });
      reweight(state.arrays, state.model(), form, kEpsilon,
               with_base ? &base.arrays.weights : nullptr, serial_for);
      for_each_value(state.arrays, [&](std::int64_t n, std::int64_t i) {
        ASSERT_NEAR(state.arrays.weights.at(0, n, i) * state.arrays.weight_factor,
                    expected.at(0, n, i) / (sum / (4 * 1027)), 1e-5);
      });
    }
}

TEST(BasicSweeps, restart_with_a_residual_of_zero) {
  State state(3, 50, 7);
  restart(state.arrays, serial_for);
  for_each_value(state.arrays, [&](std::int64_t n, std::int64_t i) {
    ASSERT_EQ(state.arrays.explained.at(0, n, i), state.arrays.images.at(0, n, i));
    ASSERT_EQ(state.arrays.multiplier.at(0, n, i), 0.F);
  });
}

void three_threads_backwards(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = count - 1 - t; i >= 0; i -= 3) body(i);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(BasicSweeps, have_the_same_bits_for_any_number_of_threads) {
  State one(6, 9001, 8);
  State three(6, 9001, 8);
  const auto pass = [](State& state, const ParallelFor& parallel_for) {
    Vector out;
    const ShrinkSums a = shrink_residual(state.arrays, state.model(), 0.3, 5.0, true, parallel_for);
    const MultiplierSums b =
        update_multiplier(state.arrays, state.model(), 0.3, 0.5, true, parallel_for);
    const ApproximateSums c =
        shrink_and_update(state.arrays, state.model(), 0.3, 5.0, parallel_for);
    reweight(state.arrays, state.model(), Reweighting::kLadmap, 0.1, nullptr, parallel_for);
    for (const Vector* values :
         {&a.projections, &a.explained, &b.gradient, &c.frame_sums, &c.multiplier})
      out.insert(out.end(), values->begin(), values->end());
    out.insert(out.end(),
               {a.change_squared, b.misfit_squared, c.misfit_squared, state.arrays.weight_factor});
    return out;
  };
  EXPECT_EQ(pass(one, serial_for), pass(three, three_threads_backwards));
  for (const auto member :
       {&BasicArrays::explained, &BasicArrays::multiplier, &BasicArrays::weights})
    EXPECT_EQ(std::memcmp((one.arrays.*member).data(), (three.arrays.*member).data(),
                          one.arrays.images.span().size_bytes()),
              0);
}

}  // namespace
}  // namespace flatfield::methods
