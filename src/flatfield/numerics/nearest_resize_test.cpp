#include "flatfield/numerics/nearest_resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

TEST(NearestIndices, repeat_each_sample_for_whole_multiples) {
  for (std::int64_t source = 1; source <= 9; ++source)
    for (std::int64_t factor = 1; factor <= 9; ++factor) {
      const auto indices = nearest_indices(source, source * factor);
      ASSERT_EQ(std::ssize(indices), source * factor);
      for (std::int64_t o = 0; o < source * factor; ++o)
        EXPECT_EQ(indices[static_cast<std::size_t>(o)], o / factor);
    }
}

TEST(NearestIndices, take_the_sample_whose_pixel_holds_the_centre) {
  EXPECT_EQ(nearest_indices(4, 2), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(nearest_indices(5, 2), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(nearest_indices(3, 5), (std::vector<std::int64_t>{0, 0, 1, 2, 2}));
  EXPECT_EQ(nearest_indices(7, 1), (std::vector<std::int64_t>{3}));
}

TEST(NearestIndices, never_leave_the_source_and_use_its_ends_when_enlarging) {
  for (std::int64_t source = 1; source <= 30; ++source)
    for (std::int64_t target = 1; target <= 60; ++target) {
      const auto indices = nearest_indices(source, target);
      for (std::size_t o = 0; o < indices.size(); ++o) {
        ASSERT_GE(indices[o], o == 0 ? 0 : indices[o - 1]);
        ASSERT_LT(indices[o], source);
      }
      if (target < source) continue;
      EXPECT_EQ(indices.front(), 0);
      EXPECT_EQ(indices.back(), source - 1);
    }
}

TEST(NearestIndices, refuse_a_source_without_samples) {
  EXPECT_THROW((void)nearest_indices(0, 3), Error);
  EXPECT_THROW((void)nearest_indices(3, -1), Error);
  EXPECT_TRUE(nearest_indices(3, 0).empty());
}

TEST(NearestResize, equals_one_lookup_per_voxel) {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto size = [&](unsigned most) { return static_cast<std::int64_t>(1 + random() % most); };
    // The mask is a part of a larger volume, so that strides matter.
    Block<std::uint8_t> volume(Extent3{8, 9, 80});
    for (std::uint8_t& value : volume.span()) value = static_cast<std::uint8_t>(random() % 2);
    const BitVolume bits(volume.view());
    const BitView mask = bits.view().sub({{1, 2, 3}, {size(7), size(7), size(77)}});
    const Extent3 shape{size(16), size(16), size(140)};
    const BitVolume out = nearest_resize(mask, shape);
    ASSERT_EQ(out.shape(), shape);
    for (std::int64_t i = 0; i < out.size(); ++i) {
      const Extent3 o = unravel(i, shape);
      const auto source = [&](int axis) {
        return std::min((2 * o[axis] + 1) * mask.shape[axis] / (2 * shape[axis]),
                        mask.shape[axis] - 1);
      };
      ASSERT_EQ(out.at(o.z, o.y, o.x), mask.at(source(0), source(1), source(2))) << "voxel " << i;
    }
  }
}

TEST(NearestResize, to_the_same_shape_is_a_copy) {
  BitVolume mask(Extent3{2, 3, 70});
  for (std::int64_t x = 0; x < 70; x += 3) mask.set(1, 2, x, true);
  EXPECT_EQ(nearest_resize(mask.view(), mask.shape()), mask);
}

}  // namespace
}  // namespace flatfield::numerics
