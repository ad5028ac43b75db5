#include "flatfield/numerics/gaussian_filter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"
#include "support/each_cpu_target.h"

namespace flatfield::numerics {
namespace {

Block<float> random_block(const Extent3& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(0.F, 1000.F);
  Block<float> block(shape);
  for (float& v : block.span()) v = value(random);
  return block;
}

/// d c b a | a b c d | d c b a, by walking back and forth.
std::int64_t walk_reflected(std::int64_t index, std::int64_t length) {
  while (index < 0 || index >= length) index = index < 0 ? -1 - index : 2 * length - 1 - index;
  return index;
}

void filter_axis_naively(Block<float>& block, int axis, double sigma) {
  const std::vector<double> kernel = gaussian_kernel(sigma);
  const auto radius = static_cast<std::int64_t>(kernel.size() / 2);
  const Block<float> before = block.clone();
  const Extent3 shape = block.shape();
  for (std::int64_t i = 0; i < block.size(); ++i) {
    const Extent3 place = unravel(i, shape);
    const auto value = [&](std::int64_t offset) {
      Extent3 p = place;
      p[axis] = walk_reflected(place[axis] + offset, shape[axis]);
      return static_cast<double>(before.at(p.z, p.y, p.x));
    };
    double sum = value(0) * kernel[static_cast<std::size_t>(radius)];
    for (std::int64_t k = radius; k > 0; --k)
      sum += (value(-k) + value(k)) * kernel[static_cast<std::size_t>(radius - k)];
    block.at(place.z, place.y, place.x) = static_cast<float>(sum);
  }
}

Block<float> filtered_naively(const Block<float>& block, const std::array<double, 3>& sigma) {
  Block<float> out = block.clone();
  for (int axis = 0; axis < 3; ++axis) {
    const double s = sigma[static_cast<std::size_t>(axis)];
    if (s > 0) filter_axis_naively(out, axis, s);
  }
  return out;
}

/// Four threads, highest index first: nothing may depend on the order or on the thread.
void parallel_backwards(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = count - 1 - t; i >= 0; i -= 4) body(i);
    });
  for (std::thread& thread : threads) thread.join();
}

void expect_same_bits(const Block<float>& a, const Block<float>& b) {
  ASSERT_EQ(a.shape(), b.shape());
  for (std::int64_t i = 0; i < a.size(); ++i)
    ASSERT_EQ(std::memcmp(a.data() + i, b.data() + i, sizeof(float)), 0)
        << "at " << i << ": " << a.data()[i] << " and " << b.data()[i];
}

TEST(GaussianKernel, is_symmetric_sums_to_one_and_has_the_radius_of_scipy) {
  for (const double sigma : {0.1, 0.5, 1.0, 2.0, 3.3, 40.0}) {
    const std::vector<double> kernel = gaussian_kernel(sigma);
    ASSERT_EQ(kernel.size(), 2 * static_cast<std::size_t>(4 * sigma + 0.5) + 1) << sigma;
    EXPECT_NEAR(std::accumulate(kernel.begin(), kernel.end(), 0.0), 1.0, 1e-15) << sigma;
    for (std::size_t i = 0; i < kernel.size(); ++i)
      EXPECT_EQ(kernel[i], kernel[kernel.size() - 1 - i]) << sigma;
  }
}

TEST(GaussianKernel, falls_off_as_a_gaussian) {
  const std::vector<double> kernel = gaussian_kernel(1.5);
  EXPECT_NEAR(kernel[6 + 3] / kernel[6], std::exp(-0.5 * 9 / (1.5 * 1.5)), 1e-15);
}

TEST(GaussianKernel, of_sigma_zero_is_the_identity) {
  EXPECT_EQ(gaussian_kernel(0.0), std::vector<double>{1.0});
  EXPECT_EQ(gaussian_kernel(-1.0), std::vector<double>{1.0});
}

TEST(GaussianKernel, refuses_a_sigma_that_is_not_a_number) {
  EXPECT_THROW((void)gaussian_kernel(std::nan("")), Error);
  EXPECT_THROW((void)gaussian_kernel(INFINITY), Error);
}

TEST(GaussianKernel, refuses_a_sigma_whose_radius_is_no_memory) {
  for (const double sigma : {1e8, 1e19, 1e300}) {
    try {
      (void)gaussian_kernel(sigma);
      ADD_FAILURE() << sigma;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage) << sigma;
    }
  }
}

TEST(GaussianFilter, equals_the_naive_sum_bit_for_bit) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto size = [&](unsigned most) { return static_cast<std::int64_t>(1 + random() % most); };
    const auto sigma = [&] {
      return random() % 4 == 0 ? 0.0 : 0.2 + 0.01 * static_cast<double>(random() % 300);
    };
    const Extent3 shape{size(12), size(30), size(500)};
    const std::array<double, 3> sigmas{sigma(), sigma(), sigma()};
    Block<float> block = random_block(shape, seed);
    const Block<float> expected = filtered_naively(block, sigmas);
    gaussian_filter(block.view(), sigmas, serial_for);
    expect_same_bits(block, expected);
  }
}

TEST(GaussianFilter, reflects_repeatedly_where_the_radius_exceeds_the_axis) {
  for (const Extent3 shape : {Extent3{1, 1, 1}, {2, 3, 1}, {1, 1, 200}, {3, 2, 4}}) {
    SCOPED_TRACE(testing::Message() << shape.z << " x " << shape.y << " x " << shape.x);
    Block<float> block = random_block(shape, 7);
    const Block<float> expected = filtered_naively(block, {3, 3, 3});
    gaussian_filter(block.view(), {3, 3, 3}, serial_for);
    expect_same_bits(block, expected);
  }
}

TEST(GaussianFilter, keeps_a_ring_of_lines_whatever_the_ratio_of_length_and_radius) {
  // Radius 4: an axis of 1..20 samples passes every case of the ring (all lines kept, just not
  // all).
  for (std::int64_t length = 1; length <= 20; ++length) {
    SCOPED_TRACE(length);
    Block<float> block = random_block({length, length, 3}, 3);
    const Block<float> expected = filtered_naively(block, {1, 1, 0});
    gaussian_filter(block.view(), {1, 1, 0}, serial_for);
    expect_same_bits(block, expected);
  }
}

TEST(GaussianFilter, does_not_depend_on_the_number_of_threads) {
  Block<float> one = random_block({9, 70, 400}, 11);
  Block<float> four = one.clone();
  gaussian_filter(one.view(), {1, 2, 1.5}, serial_for);
  gaussian_filter(four.view(), {1, 2, 1.5}, parallel_backwards);
  expect_same_bits(four, one);
}

TEST(GaussianFilter, has_the_same_bits_on_every_cpu) {
  for_each_cpu_target([] {
    for (unsigned seed = 1; seed <= 12; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      std::mt19937 random(seed);
      const Extent3 shape{static_cast<std::int64_t>(1 + random() % 8), static_cast<std::int64_t>(1 + random() % 20),
                          static_cast<std::int64_t>(1 + random() % 300)};
      Block<float> block = random_block(shape, seed);
      const Block<float> expected = filtered_naively(block, {1.3, 0.7, 2});
      gaussian_filter(block.view(), {1.3, 0.7, 2}, serial_for);
      expect_same_bits(block, expected);
    }
  });
}

TEST(GaussianFilter, of_sigma_zero_changes_nothing) {
  Block<float> block = random_block({2, 3, 5}, 5);
  const Block<float> before = block.clone();
  gaussian_filter(block.view(), {0, 0, 0}, serial_for);
  expect_same_bits(block, before);
}

TEST(GaussianFilter, of_a_part_leaves_its_surroundings_alone) {
  Block<float> whole = random_block({6, 20, 40}, 13);
  const Block<float> before = whole.clone();
  const Box3 box{{1, 3, 5}, {4, 12, 30}};
  Block<float> part(box.shape);
  copy_block<float>(whole.view().sub(box), part.view());
  const Block<float> expected = filtered_naively(part, {1, 1, 1});
  gaussian_filter(whole.view().sub(box), {1, 1, 1}, serial_for);
  for (std::int64_t i = 0; i < whole.size(); ++i) {
    const Extent3 p = unravel(i, whole.shape());
    const Extent3 q = p - box.origin;
    const bool inside = !intersect(box, {p, {1, 1, 1}}).empty();
    ASSERT_EQ(whole.at(p.z, p.y, p.x),
              inside ? expected.at(q.z, q.y, q.x) : before.at(p.z, p.y, p.x))
        << "at " << i;
  }
}

TEST(GaussianFilter, accepts_an_empty_volume) {
  Block<float> empty(Extent3{0, 5, 5});
  gaussian_filter(empty.view(), {1, 1, 1}, serial_for);
  EXPECT_TRUE(empty.empty());
}

}  // namespace
}  // namespace flatfield::numerics
