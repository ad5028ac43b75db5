#include "flatfield/numerics/window_reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "flatfield/core/error.h"
#include "support/each_cpu_target.h"

namespace flatfield::numerics {
namespace {

template <class T>
Block<T> random_block(const Extent3& shape, unsigned most, unsigned seed) {
  std::mt19937 random(seed);
  Block<T> block(shape);
  for (T& value : block.span()) value = static_cast<T>(random() % (most + 1));
  return block;
}

template <class T>
T reduce_naively(std::vector<T> window, const WindowReducer& reducer) {
  std::sort(window.begin(), window.end());
  switch (reducer.kind) {
    case WindowReducer::Kind::kRank:
      return window[static_cast<std::size_t>(reducer.rank < 0 ? reducer.rank + 8 : reducer.rank)];
    case WindowReducer::Kind::kMean: {
      double sum = 0;
      for (const T value : window) sum += static_cast<double>(value);
      return static_cast<T>(std::is_integral_v<T> ? std::nearbyint(sum / 8) : sum / 8);
    }
    case WindowReducer::Kind::kMode: break;
  }
  std::map<T, int> counts;
  for (const T value : window) ++counts[value];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

template <class T>
void expect_equal_to_naive(BlockView<const T> in, const WindowReducer& reducer) {
  Block<T> out(floor_div(in.shape, 2));
  reduce_windows<T>(in, out.view(), reducer);
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const Extent3 p = unravel(i, out.shape());
    std::vector<T> window;
    for (std::int64_t k = 0; k < 8; ++k)
      window.push_back(in.at(2 * p.z + k / 4, 2 * p.y + k / 2 % 2, 2 * p.x + k % 2));
    ASSERT_EQ(out.at(p.z, p.y, p.x), reduce_naively(window, reducer)) << "output voxel " << i;
  }
}

std::vector<WindowReducer> every_reducer() {
  std::vector<WindowReducer> all{{WindowReducer::Kind::kMean, 0}, {WindowReducer::Kind::kMode, 0}};
  for (int rank = -8; rank < 8; ++rank) all.push_back({WindowReducer::Kind::kRank, rank});
  return all;
}

template <class T>
class ReduceWindows : public testing::Test {};
using VoxelTypes = testing::Types<std::uint8_t, std::uint16_t, float>;
TYPED_TEST_SUITE(ReduceWindows, VoxelTypes);

TYPED_TEST(ReduceWindows, equals_the_sorted_twin_for_every_reducer) {
  using T = TypeParam;
  const unsigned largest = sizeof(T) == 1 ? 255 : 65535;
  for (const WindowReducer& reducer : every_reducer())
    for (unsigned seed = 1; seed <= 12; ++seed) {
      SCOPED_TRACE("kind " + std::to_string(static_cast<int>(reducer.kind)) + ", rank " +
                   std::to_string(reducer.rank) + ", seed " + std::to_string(seed));
      std::mt19937 random(seed);
      const auto size = [&](unsigned most) {
        return static_cast<std::int64_t>(1 + random() % most);
      };
      const Extent3 shape{size(6), size(8), size(150)};
      // Few different values make ties, many reach the ends of the type.
      const Block<T> block = random_block<T>(shape, seed % 2 == 0 ? largest : 1 + seed % 5, seed);
      expect_equal_to_naive<T>(block.view(), reducer);
    }
}

TYPED_TEST(ReduceWindows, sorts_every_pattern_of_zeros_and_ones) {
  // By the 0-1 principle a network that sorts these sorts everything.
  using T = TypeParam;
  Block<T> block(Extent3{2, 2, 512});
  for (std::int64_t pattern = 0; pattern < 256; ++pattern)
    for (std::int64_t k = 0; k < 8; ++k)
      block.at(k / 4, k / 2 % 2, 2 * pattern + k % 2) = static_cast<T>(pattern >> k & 1);
  for (const WindowReducer& reducer : every_reducer())
    expect_equal_to_naive<T>(block.view(), reducer);
}

TYPED_TEST(ReduceWindows, takes_the_second_largest_on_every_cpu) {
  using T = TypeParam;
  const unsigned largest = sizeof(T) == 1 ? 255 : 65535;
  for_each_cpu_target([&] {
    for (unsigned seed = 1; seed <= 40; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const Extent3 shape{2, 4, static_cast<std::int64_t>(1 + 7 * seed)};
      const Block<T> block = random_block<T>(shape, seed % 2 == 0 ? largest : 1 + seed % 5, seed);
      expect_equal_to_naive<T>(block.view(), {});
    }
    // By the 0-1 principle: every pattern of zeros and ones.
    Block<T> patterns(Extent3{2, 2, 512});
    for (std::int64_t pattern = 0; pattern < 256; ++pattern)
      for (std::int64_t k = 0; k < 8; ++k)
        patterns.at(k / 4, k / 2 % 2, 2 * pattern + k % 2) = static_cast<T>((pattern >> k & 1) != 0 ? largest : 0);
    expect_equal_to_naive<T>(patterns.view(), {});
  });
}

TYPED_TEST(ReduceWindows, reads_a_part_of_a_volume) {
  using T = TypeParam;
  const Block<T> block = random_block<T>({7, 9, 41}, 200, 3);
  expect_equal_to_naive<T>(block.view().sub({{1, 2, 3}, {5, 6, 37}}), {});
}

TYPED_TEST(ReduceWindows, drops_an_odd_end_and_accepts_that_nothing_is_left) {
  using T = TypeParam;
  const Block<T> plane = random_block<T>({1, 4, 4}, 9, 1);
  Block<T> nothing(Extent3{0, 2, 2});
  reduce_windows<T>(plane.view(), nothing.view(), {});
  EXPECT_TRUE(nothing.empty());
  expect_equal_to_naive<T>(random_block<T>({3, 3, 3}, 9, 1).view(), {});
}

TEST(ReduceWindowsMean, rounds_half_to_even) {
  Block<std::uint16_t> in(Extent3{2, 2, 4}, 0);
  in.at(0, 0, 0) = 4;   // mean 0.5
  in.at(1, 1, 3) = 12;  // mean 1.5
  Block<std::uint16_t> out(Extent3{1, 1, 2});
  reduce_windows<std::uint16_t>(in.view(), out.view(), {WindowReducer::Kind::kMean, 0});
  EXPECT_EQ(out.at(0, 0, 0), 0);
  EXPECT_EQ(out.at(0, 0, 1), 2);
}

TEST(ReduceWindowsErrors, refuses_a_wrong_output_shape_and_an_impossible_rank) {
  const Block<float> in(Extent3{4, 4, 4}, 0.F);
  Block<float> wrong(Extent3{2, 2, 3});
  Block<float> right(Extent3{2, 2, 2});
  EXPECT_THROW(reduce_windows<float>(in.view(), wrong.view(), {}), Error);
  for (const int rank : {-9, 8, 16}) {
    const WindowReducer reducer{WindowReducer::Kind::kRank, rank};
    EXPECT_THROW(reduce_windows<float>(in.view(), right.view(), reducer), Error) << rank;
  }
}

}  // namespace
}  // namespace flatfield::numerics
