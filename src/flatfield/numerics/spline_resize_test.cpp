#include "flatfield/numerics/spline_resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <thread>
#include <vector>

// tests/python/test_splines_live.py holds this resize against scikit-image.

namespace flatfield::numerics {
namespace {

Block<float> random_plane(std::int64_t height, std::int64_t width, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> value(30.0F, 60.0F);
  Block<float> plane({1, height, width});
  for (float& v : plane.span()) v = value(generator);
  return plane;
}

std::int64_t reflected(std::int64_t i, std::int64_t size) {
  while (i < 0 || i >= size) {
    if (size == 1) return 0;
    i = i < 0 ? -i : 2 * (size - 1) - i;
  }
  return i;
}

double cubic_b_spline(double x) {
  x = std::abs(x);
  if (x < 1.0) return 2.0 / 3.0 - x * x + x * x * x / 2.0;
  return x < 2.0 ? std::pow(2.0 - x, 3) / 6.0 : 0.0;
}

/// Resizes one line: coefficients from the interpolation conditions by Gauss-Seidel, then the sum
/// of the B-splines.
std::vector<double> resize_line_naively(const std::vector<double>& line, std::int64_t target) {
  const auto size = static_cast<std::int64_t>(line.size());
  const auto at = [size](const std::vector<double>& values, std::int64_t i) {
    return values[static_cast<std::size_t>(reflected(i, size))];
  };
  std::vector<double> c = line;
  for (int round = 0; size > 1 && round < 80; ++round)
    for (std::int64_t i = 0; i < size; ++i)
      c[static_cast<std::size_t>(i)] = (6.0 * at(line, i) - at(c, i - 1) - at(c, i + 1)) / 4.0;
  std::vector<double> out;
  for (std::int64_t o = 0; o < target; ++o) {
    const double x =
        (static_cast<double>(o) + 0.5) * static_cast<double>(size) / static_cast<double>(target) -
        0.5;
    double sum = 0.0;
    for (std::int64_t i = -3; i < size + 3; ++i)
      sum += at(c, i) * cubic_b_spline(x - static_cast<double>(i));
    out.push_back(sum);
  }
  return out;
}

/// The plane resized one axis after the other, and clipped.
Block<float> resize_naively(const Block<float>& plane, std::int64_t height, std::int64_t width) {
  std::vector<std::vector<double>> rows;
  for (std::int64_t y = 0; y < plane.shape().y; ++y) {
    const float* row = plane.view().row(0, y);
    rows.push_back(resize_line_naively({row, row + plane.shape().x}, width));
  }
  const auto [low, high] = std::minmax_element(plane.span().begin(), plane.span().end());
  Block<float> out({1, height, width});
  for (std::int64_t x = 0; x < width; ++x) {
    std::vector<double> column;
    for (const auto& row : rows) column.push_back(row[static_cast<std::size_t>(x)]);
    const std::vector<double> resized = resize_line_naively(column, height);
    for (std::int64_t y = 0; y < height; ++y)
      out.at(0, y, x) =
          std::clamp(static_cast<float>(resized[static_cast<std::size_t>(y)]), *low, *high);
  }
  return out;
}

void expect_near(const Block<float>& actual, const Block<float>& expected) {
  ASSERT_EQ(actual.shape(), expected.shape());
  for (std::int64_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual.data()[i], expected.data()[i], 1e-5) << "at " << i;
}

TEST(ResizePlane, agrees_with_the_definition_on_random_planes) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 generator(seed);
    std::uniform_int_distribution<std::int64_t> size(1, 40);
    const Block<float> plane = random_plane(size(generator), size(generator), seed);
    const std::int64_t height = size(generator);
    const std::int64_t width = size(generator);
    if (Extent3{1, height, width} == plane.shape()) continue;
    expect_near(resize_plane(plane.view(), height, width, serial_for),
                resize_naively(plane, height, width));
  }
}

TEST(ResizePlane, to_the_same_shape_copies_every_bit) {
  const Block<float> plane = random_plane(7, 19, 1);
  const Block<float> out = resize_plane(plane.view(), 7, 19, serial_for);
  EXPECT_TRUE(std::equal(out.span().begin(), out.span().end(), plane.span().begin()));
}

TEST(ResizePlane, of_a_constant_is_exactly_this_constant) {
  const Block<float> plane({1, 23, 45}, 37.3F);
  for (const auto& [height, width] : {std::pair{5, 9}, {100, 70}, {1, 1}, {23, 46}}) {
    const Block<float> out = resize_plane(plane.view(), height, width, serial_for);
    for (const float v : out.span()) ASSERT_EQ(v, 37.3F);
  }
}

TEST(ResizePlane, stays_within_the_values_of_the_plane) {
  Block<float> step({1, 16, 16}, 0.0F);
  for (std::int64_t y = 0; y < 16; ++y) std::fill_n(step.view().row(0, y), 8, 100.0F);
  const Block<float> out = resize_plane(step.view(), 160, 160, serial_for);
  const auto [low, high] = std::minmax_element(out.span().begin(), out.span().end());
  EXPECT_EQ(*low, 0.0F);
  EXPECT_EQ(*high, 100.0F);
}

TEST(ResizePlane, reads_a_plane_within_a_larger_one) {
  const Block<float> large = random_plane(30, 50, 4);
  const BlockView<const float> part = large.view().sub({{0, 5, 11}, {1, 12, 23}});
  Block<float> copy(part.shape);
  copy_block(part, copy.view());
  const Block<float> expected = resize_plane(copy.view(), 20, 18, serial_for);
  const Block<float> out = resize_plane(part, 20, 18, serial_for);
  EXPECT_TRUE(std::equal(out.span().begin(), out.span().end(), expected.span().begin()));
}

TEST(PlaneOfSize, is_the_plane_itself_where_it_has_the_size_and_else_a_resized_one) {
  const Block<float> plane = random_plane(12, 17, 3);
  EXPECT_EQ(PlaneOfSize(plane.view(), 12, 17, serial_for).view().data, plane.view().data);
  const PlaneOfSize other(plane.view(), 12, 18, serial_for);
  const Block<float> expected = resize_plane(plane.view(), 12, 18, serial_for);
  ASSERT_EQ(other.view().shape, expected.shape());
  EXPECT_TRUE(std::equal(expected.span().begin(), expected.span().end(), other.view().data));
}

TEST(ResizePlane, gives_the_same_bits_in_any_memory) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int repeat = 0; repeat < 30; ++repeat) {
    const auto length = [&] { return static_cast<std::int64_t>(1 + random() % 120); };
    Block<float> plane({1, length(), length()});
    for (float& v : plane.span()) v = std::uniform_real_distribution<float>(0.0F, 1000.0F)(random);
    const std::int64_t height = 3 * length();
    const std::int64_t width = length();
    const Block<float> expected = resize_plane(plane.view(), height, width, serial_for);
    for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{5000}, std::int64_t{40000}}) {
      const Block<float> out = resize_plane_within(bytes, plane.view(), height, width, serial_for);
      EXPECT_TRUE(std::equal(out.span().begin(), out.span().end(), expected.span().begin()))
          << to_string(plane.shape()) << " to " << height << " x " << width << " in " << bytes << " bytes";
    }
  }
}

TEST(ResizePlane, gives_the_same_bits_in_any_order_and_on_any_number_of_threads) {
  const ParallelFor backwards = [](std::int64_t count,
                                   const std::function<void(std::int64_t)>& body) {
    for (std::int64_t i = count; i-- > 0;) body(i);
  };
  const ParallelFor three_threads = [](std::int64_t count,
                                       const std::function<void(std::int64_t)>& body) {
    std::vector<std::jthread> pool;
    for (std::int64_t t = 0; t < 3; ++t)
      pool.emplace_back([=, &body] {
        for (std::int64_t i = t; i < count; i += 3) body(i);
      });
  };
  const Block<float> plane = random_plane(75, 90, 2);
  for (const auto& [height, width] : {std::pair{20, 31}, {200, 170}}) {
    const Block<float> expected = resize_plane(plane.view(), height, width, serial_for);
    for (const ParallelFor& parallel_for : {backwards, three_threads}) {
      const Block<float> out = resize_plane(plane.view(), height, width, parallel_for);
      EXPECT_TRUE(std::equal(out.span().begin(), out.span().end(), expected.span().begin()));
    }
  }
}

}  // namespace
}  // namespace flatfield::numerics
