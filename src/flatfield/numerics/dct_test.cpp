#include "flatfield/numerics/dct.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

std::vector<double> random_values(const Extent3& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> value(-1.0, 1.0);
  std::vector<double> values(static_cast<std::size_t>(shape.volume()));
  for (double& v : values) v = value(random);
  return values;
}

/// Along one axis, straight from the definition of the orthonormal DCT-II.
std::vector<double> along_axis_naively(const std::vector<double>& values, const Extent3& shape,
                                       int axis) {
  const std::int64_t n = shape[axis];
  std::vector<double> out(values.size());
  for (std::int64_t i = 0; i < shape.volume(); ++i) {
    const Extent3 place = unravel(i, shape);
    const std::int64_t k = place[axis];
    double sum = 0.0;
    for (std::int64_t j = 0; j < n; ++j) {
      Extent3 p = place;
      p[axis] = j;
      sum += values[static_cast<std::size_t>(ravel(p, shape))] *
             std::cos(std::numbers::pi * static_cast<double>(k * (2 * j + 1) % (4 * n)) /
                      static_cast<double>(2 * n));
    }
    out[static_cast<std::size_t>(i)] =
        sum * std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(n));
  }
  return out;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

/// Three threads, highest index first.
void parallel_backwards(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = count - 1 - t; i >= 0; i -= 3) body(i);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Dct, equals_the_definition_for_any_shape) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    const auto size = [&](unsigned most) { return static_cast<std::int64_t>(1 + random() % most); };
    const Extent3 shape{random() % 2 == 0 ? 1 : size(9), size(41), size(41)};
    SCOPED_TRACE("seed " + std::to_string(seed) + ", shape " + to_string(shape));
    std::vector<double> values = random_values(shape, seed);
    std::vector<double> expected = values;
    for (int axis = 0; axis < 3; ++axis) expected = along_axis_naively(expected, shape, axis);
    Dct(shape).forward(values, serial_for);
    EXPECT_LT(largest_difference(values, expected), 1e-13);
  }
}

TEST(Dct, is_undone_by_its_inverse) {
  for (const Extent3 shape : {Extent3{1, 128, 128},
                              {1, 40, 56},
                              {1, 1, 1},
                              {1, 1, 7},
                              {3, 1, 2},
                              {5, 37, 1},
                              {1, 171, 203},
                              {2, 8, 331}}) {
    SCOPED_TRACE(to_string(shape));
    std::vector<double> values = random_values(shape, 3);
    const std::vector<double> before = values;
    const Dct dct(shape);
    dct.forward(values, serial_for);
    dct.inverse(values, serial_for);
    EXPECT_LT(largest_difference(values, before), 1e-14);
  }
}

TEST(Dct, of_a_constant_is_its_sum_over_the_root_of_the_count) {
  std::vector<double> values(6 * 10, 2.5);
  Dct({1, 6, 10}).forward(values, serial_for);
  EXPECT_NEAR(values[0], 2.5 * std::sqrt(60.0), 1e-13);
  EXPECT_LT(std::abs(*std::max_element(values.begin() + 1, values.end())), 1e-13);
}

TEST(Dct, does_not_depend_on_the_number_of_threads) {
  for (const Extent3 shape : {Extent3{1, 90, 77}, {3, 20, 30}}) {
    std::vector<double> one = random_values(shape, 5);
    std::vector<double> three = one;
    const Dct dct(shape);
    dct.forward(one, serial_for);
    dct.forward(three, parallel_backwards);
    ASSERT_EQ(std::memcmp(one.data(), three.data(), one.size() * sizeof(double)), 0);
    dct.inverse(one, serial_for);
    dct.inverse(three, parallel_backwards);
    ASSERT_EQ(std::memcmp(one.data(), three.data(), one.size() * sizeof(double)), 0);
  }
}

TEST(Dct, refuses_an_empty_shape) { EXPECT_THROW(Dct({1, 0, 4}), Error); }

}  // namespace
}  // namespace flatfield::numerics
