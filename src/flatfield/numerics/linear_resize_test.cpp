#include "flatfield/numerics/linear_resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::numerics {
namespace {

Block<float> random_plane(std::int64_t height, std::int64_t width, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(0.F, 1000.F);
  Block<float> plane({1, height, width});
  for (float& v : plane.span()) v = value(random);
  return plane;
}

/// d c b | a b c d | c b a, by walking back and forth.
std::int64_t walk_mirrored(std::int64_t index, std::int64_t length) {
  if (length == 1) return 0;
  while (index < 0 || index >= length) index = index < 0 ? -index : 2 * length - 2 - index;
  return index;
}

Block<float> blurred_naively(const Block<float>& plane, double sigma, bool along_x) {
  const std::vector<double> kernel = gaussian_kernel(sigma);
  const auto radius = static_cast<std::int64_t>(kernel.size() / 2);
  Block<float> out(plane.shape());
  for (std::int64_t y = 0; y < plane.shape().y; ++y)
    for (std::int64_t x = 0; x < plane.shape().x; ++x) {
      double sum = 0.0;
      for (std::int64_t k = -radius; k <= radius; ++k)
        sum += kernel[static_cast<std::size_t>(k + radius)] *
               plane.at(0, along_x ? y : walk_mirrored(y + k, plane.shape().y),
                        along_x ? walk_mirrored(x + k, plane.shape().x) : x);
      out.at(0, y, x) = static_cast<float>(sum);
    }
  return out;
}

double lerp_at(const Block<float>& plane, double y, double x) {
  const auto y0 = static_cast<std::int64_t>(std::floor(y));
  const auto x0 = static_cast<std::int64_t>(std::floor(x));
  const auto at = [&](std::int64_t row, std::int64_t column) {
    return static_cast<double>(
        plane.at(0, walk_mirrored(row, plane.shape().y), walk_mirrored(column, plane.shape().x)));
  };
  const double ty = y - static_cast<double>(y0);
  const double tx = x - static_cast<double>(x0);
  return (1 - ty) * ((1 - tx) * at(y0, x0) + tx * at(y0, x0 + 1)) +
         ty * ((1 - tx) * at(y0 + 1, x0) + tx * at(y0 + 1, x0 + 1));
}

Block<float> resized_as_skimage(const Block<float>& plane, std::int64_t height,
                                std::int64_t width) {
  const double fy = static_cast<double>(plane.shape().y) / static_cast<double>(height);
  const double fx = static_cast<double>(plane.shape().x) / static_cast<double>(width);
  const Block<float> smooth =
      blurred_naively(blurred_naively(plane, std::max(0.0, (fy - 1) / 2), false),
                      std::max(0.0, (fx - 1) / 2), true);
  Block<float> out({1, height, width});
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      out.at(0, y, x) =
          static_cast<float>(lerp_at(smooth, (static_cast<double>(y) + 0.5) * fy - 0.5,
                                     (static_cast<double>(x) + 0.5) * fx - 0.5));
  return out;
}

double triangle(std::int64_t source, std::int64_t target, std::int64_t i, std::int64_t o) {
  const double inverse = static_cast<double>(source) / static_cast<double>(target);
  const double k = std::max(inverse, 1.0);
  const auto weight = [&](std::int64_t at) {
    const double c = (static_cast<double>(o) + 0.5) * inverse - 0.5;
    return std::max(0.0, 1 - std::abs(c - static_cast<double>(at)) / k);
  };
  double sum = 0.0;
  for (std::int64_t at = 0; at < source; ++at) sum += weight(at);
  return weight(i) / sum;
}

Block<float> resized_as_jax(const Block<float>& plane, std::int64_t height, std::int64_t width) {
  Block<float> out({1, height, width});
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      double sum = 0.0;
      for (std::int64_t i = 0; i < plane.shape().y; ++i)
        for (std::int64_t j = 0; j < plane.shape().x; ++j)
          sum += triangle(plane.shape().y, height, i, y) * triangle(plane.shape().x, width, j, x) *
                 plane.at(0, i, j);
      out.at(0, y, x) = static_cast<float>(sum);
    }
  return out;
}

void expect_near(const Block<float>& found, const Block<float>& expected, double tolerance) {
  ASSERT_EQ(found.shape(), expected.shape());
  for (std::int64_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found.data()[i], expected.data()[i], tolerance) << "at " << i;
}

void three_threads(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = t; i < count; i += 3) body(i);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(LinearResize, follows_the_definition_of_scikit_image_and_of_jax) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    std::mt19937 random(seed);
    const auto size = [&](unsigned most) { return static_cast<std::int64_t>(1 + random() % most); };
    const Block<float> plane = random_plane(size(25), size(25), seed);
    const std::int64_t height = size(40);
    const std::int64_t width = size(40);
    SCOPED_TRACE("seed " + std::to_string(seed) + ", from " + to_string(plane.shape()) + " to " +
                 std::to_string(height) + " x " + std::to_string(width));
    if (plane.shape() == Extent3{1, height, width}) continue;
    expect_near(resize_linear(plane.view(), height, width, LinearResize::kSkimage, serial_for),
                resized_as_skimage(plane, height, width), 3e-4);
    expect_near(resize_linear(plane.view(), height, width, LinearResize::kJax, serial_for),
                resized_as_jax(plane, height, width), 1e-4);
  }
}

TEST(LinearResize, keeps_a_constant_and_the_same_shape) {
  Block<float> constant({1, 17, 9}, 3.25F);
  const Block<float> plane = random_plane(12, 14, 1);
  for (const LinearResize mode : {LinearResize::kSkimage, LinearResize::kJax}) {
    for (const auto& [height, width] : {std::pair{5, 30}, {40, 2}, {17, 4}}) {
      const Block<float> out = resize_linear(constant.view(), height, width, mode, serial_for);
      for (const float v : out.span()) EXPECT_EQ(v, 3.25F);
    }
    const Block<float> same = resize_linear(plane.view(), 12, 14, mode, serial_for);
    EXPECT_TRUE(std::equal(same.span().begin(), same.span().end(), plane.span().begin()));
  }
}

TEST(LinearResize, reads_a_part_of_a_larger_plane) {
  const Block<float> whole = random_plane(30, 40, 2);
  const BlockView<const float> part = whole.view().sub({{0, 3, 5}, {1, 20, 21}});
  Block<float> copy(part.shape);
  copy_block(part, copy.view());
  for (const LinearResize mode : {LinearResize::kSkimage, LinearResize::kJax})
    expect_near(resize_linear(part, 9, 33, mode, serial_for),
                resize_linear(copy.view(), 9, 33, mode, serial_for), 0.0);
}

TEST(LinearResize, does_not_depend_on_the_number_of_threads) {
  const Block<float> plane = random_plane(90, 70, 4);
  for (const LinearResize mode : {LinearResize::kSkimage, LinearResize::kJax}) {
    const Block<float> one = resize_linear(plane.view(), 61, 50, mode, serial_for);
    const Block<float> three = resize_linear(plane.view(), 61, 50, mode, three_threads);
    EXPECT_EQ(std::memcmp(one.data(), three.data(), one.span().size_bytes()), 0);
  }
}

TEST(LinearResize, refuses_empty_planes) {
  const Block<float> plane = random_plane(3, 3, 1);
  EXPECT_THROW((void)resize_linear(plane.view(), 0, 3, LinearResize::kJax, serial_for), Error);
  const Block<float> empty(Extent3{1, 0, 3});
  EXPECT_THROW((void)resize_linear(empty.view(), 2, 3, LinearResize::kJax, serial_for), Error);
}

}  // namespace
}  // namespace flatfield::numerics
