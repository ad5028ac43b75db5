#include "flatfield/numerics/lane_fft.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

constexpr auto kLanes = static_cast<std::size_t>(LaneFft::kLanes);
using Signal = std::vector<std::complex<double>>;

std::vector<Signal> random_lanes(std::int64_t length, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> value(-1.0, 1.0);
  std::vector<Signal> lanes(kLanes, Signal(static_cast<std::size_t>(length)));
  for (Signal& lane : lanes)
    for (auto& sample : lane) sample = {value(random), value(random)};
  return lanes;
}

Signal transformed_naively(const Signal& signal) {
  const std::size_t n = signal.size();
  Signal out(n);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < n; ++i)
      out[k] +=
          signal[i] * std::polar(1.0, -2.0 * std::numbers::pi * static_cast<double>(i * k % n) /
                                          static_cast<double>(n));
  return out;
}

/// Runs the transform; with `inverse`, the parts are exchanged.
std::vector<Signal> transformed(const LaneFft& fft, const std::vector<Signal>& lanes,
                                bool inverse = false) {
  const auto n = static_cast<std::size_t>(fft.length());
  std::vector<double> re(n * kLanes);
  std::vector<double> im(n * kLanes);
  for (std::size_t i = 0; i < n * kLanes; ++i) {
    re[i] = lanes[i % kLanes][i / kLanes].real();
    im[i] = lanes[i % kLanes][i / kLanes].imag();
  }
  std::vector<double> scratch(fft.scratch_size());
  if (inverse)
    fft.transform(im.data(), re.data(), scratch);
  else
    fft.transform(re.data(), im.data(), scratch);
  std::vector<Signal> out(kLanes, Signal(n));
  for (std::size_t i = 0; i < n * kLanes; ++i) out[i % kLanes][i / kLanes] = {re[i], im[i]};
  return out;
}

double largest_difference(const Signal& a, const Signal& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

/// Every length up to 130, and some with large or several prime factors.
std::vector<std::int64_t> lengths() {
  std::vector<std::int64_t> out;
  for (std::int64_t n = 1; n <= 130; ++n) out.push_back(n);
  for (const std::int64_t n : {512, 31 * 7, 37 * 4, 347, 1009, 961, 600, 1024}) out.push_back(n);
  return out;
}

TEST(LaneFft, of_every_lane_equals_the_definition_for_any_length) {
  for (const std::int64_t length : lengths()) {
    SCOPED_TRACE("length (and seed) " + std::to_string(length));
    const std::vector<Signal> lanes = random_lanes(length, static_cast<unsigned>(length));
    const std::vector<Signal> found = transformed(LaneFft(length), lanes);
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      EXPECT_LT(largest_difference(found[lane], transformed_naively(lanes[lane])),
                4e-15 * static_cast<double>(length));
  }
}

TEST(LaneFft, with_parts_exchanged_is_the_inverse_times_the_length) {
  for (const std::int64_t length : lengths()) {
    SCOPED_TRACE("length (and seed) " + std::to_string(length));
    const LaneFft fft(length);
    const std::vector<Signal> lanes = random_lanes(length, static_cast<unsigned>(length));
    std::vector<Signal> back = transformed(fft, transformed(fft, lanes), true);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      for (auto& sample : back[lane]) sample /= static_cast<double>(length);
      EXPECT_LT(largest_difference(back[lane], lanes[lane]), 1e-14);
    }
  }
}

TEST(LaneFft, refuses_a_length_of_zero) { EXPECT_THROW(LaneFft(0), Error); }

}  // namespace
}  // namespace flatfield::numerics
