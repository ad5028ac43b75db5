#include "flatfield/numerics/plane_median.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "support/each_cpu_target.h"

namespace flatfield::numerics {
namespace {

template <class T>
void expect_equal_to_nth_element(const std::vector<T>& stack, std::int64_t planes) {
  const std::int64_t pixels = std::ssize(stack) / planes;
  std::vector<float> out(static_cast<std::size_t>(pixels));
  plane_median<T>(stack, planes, pixels, out);
  std::vector<T> column(static_cast<std::size_t>(planes));
  for (std::int64_t x = 0; x < pixels; ++x) {
    for (std::int64_t p = 0; p < planes; ++p)
      column[static_cast<std::size_t>(p)] = stack[static_cast<std::size_t>(p * pixels + x)];
    const auto nth = [&](std::int64_t rank) {
      std::nth_element(column.begin(), column.begin() + rank, column.end());
      return static_cast<float>(column[static_cast<std::size_t>(rank)]);
    };
    const float expected = (nth((planes - 1) / 2) + nth(planes / 2)) / 2;
    ASSERT_EQ(out[static_cast<std::size_t>(x)], expected) << "pixel " << x;
  }
}

template <class T>
std::vector<T> random_stack(std::int64_t count, unsigned first, unsigned range, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> stack(static_cast<std::size_t>(count));
  for (T& value : stack) value = static_cast<T>(first + random() % range);
  return stack;
}

template <class T>
class PlaneMedian : public testing::Test {};
using VoxelTypes = testing::Types<std::uint8_t, std::uint16_t>;
TYPED_TEST_SUITE(PlaneMedian, VoxelTypes);

TYPED_TEST(PlaneMedian, equals_nth_element) {
  using T = TypeParam;
  constexpr unsigned kAll = std::numeric_limits<T>::max() + 1U;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto planes = static_cast<std::int64_t>(1 + random() % 70);
    const auto pixels = static_cast<std::int64_t>(1 + random() % 600);
    // Ranges from "all the same" through noise with many ties to every value of the type.
    const unsigned range = seed % 3 == 0 ? kAll : 1 + random() % 60;
    const unsigned first = range == kAll ? 0 : random() % (kAll - range);
    expect_equal_to_nth_element(random_stack<T>(planes * pixels, first, range, seed), planes);
  }
}

TYPED_TEST(PlaneMedian, is_exact_at_the_ends_of_the_type) {
  using T = TypeParam;
  constexpr T kMost = std::numeric_limits<T>::max();
  constexpr T kHalf = kMost / 2;
  for (const std::vector<T>& column : {std::vector<T>{0},
                                       {kMost},
                                       {0, kMost},
                                       {kMost, kMost},
                                       {0, 0, kMost},
                                       {kMost, 0, kMost},
                                       {kHalf, kHalf + 1},
                                       {kMost, kMost, kMost, kMost},
                                       {0, 0, kMost, kMost},
                                       {kMost - 1, kMost}})
    expect_equal_to_nth_element(column, std::ssize(column));
}

TYPED_TEST(PlaneMedian, counts_any_number_of_planes) {
  using T = TypeParam;
  for (const std::int64_t planes : {127, 128, 255, 256, 257, 1000, 32767, 32768, 32769, 70000}) {
    SCOPED_TRACE(planes);
    expect_equal_to_nth_element(random_stack<T>(planes * 3, 100, 7, 1), planes);
    // All planes above or all below any candidate: the counters reach their largest value.
    expect_equal_to_nth_element(std::vector<T>(static_cast<std::size_t>(planes), T{1}), planes);
  }
}

TYPED_TEST(PlaneMedian, is_the_same_on_every_cpu) {
  using T = TypeParam;
  constexpr unsigned kAll = std::numeric_limits<T>::max() + 1U;
  for_each_cpu_target([] {
    for (unsigned seed = 1; seed <= 40; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      std::mt19937 random(seed);
      // Beyond 127 planes the lanes of uint8 are wider.
      const auto planes = static_cast<std::int64_t>(1 + random() % 160);
      const auto pixels = static_cast<std::int64_t>(1 + random() % 600);
      expect_equal_to_nth_element(random_stack<T>(planes * pixels, 0, seed % 2 == 0 ? kAll : 40, seed), planes);
    }
    expect_equal_to_nth_element(random_stack<T>(32769 * 70, 100, 7, 1), 32769);
  });
}

TYPED_TEST(PlaneMedian, of_no_pixels_is_nothing) {
  plane_median(std::span<const TypeParam>(), 3, 0, std::span<float>());
}

TYPED_TEST(PlaneMedian, refuses_sizes_that_do_not_fit) {
  const std::vector<TypeParam> stack(6);
  std::vector<float> out(2);
  EXPECT_THROW(plane_median<TypeParam>(stack, 2, 2, out), Error);
  EXPECT_THROW(plane_median<TypeParam>(stack, 2, 3, out), Error);
  EXPECT_THROW(plane_median<TypeParam>(stack, 0, 2, out), Error);
}

}  // namespace
}  // namespace flatfield::numerics
