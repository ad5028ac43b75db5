#include "flatfield/methods/tissue_mask.h"

#include <gtest/gtest.h>

#include <random>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

void fill_box(BitVolume& mask, const Box3& box) {
  for (std::int64_t i = 0; i < box.shape.volume(); ++i) {
    const Extent3 p = box.origin + unravel(i, box.shape);
    mask.set(p.z, p.y, p.x, true);
  }
}

TEST(CleanMask, keeps_the_two_largest_regions) {
  BitVolume mask({5, 9, 9});
  fill_box(mask, {{0, 0, 0}, {3, 3, 3}});
  fill_box(mask, {{0, 5, 5}, {2, 2, 2}});
  fill_box(mask, {{4, 8, 8}, {1, 1, 1}});
  clean_mask(mask);
  EXPECT_TRUE(mask.at(2, 2, 2));
  EXPECT_TRUE(mask.at(1, 6, 6));
  EXPECT_FALSE(mask.at(4, 8, 8));
  EXPECT_EQ(mask.count(), 27 + 8);
}

TEST(CleanMask, does_not_join_regions_over_edges_and_corners) {
  BitVolume mask({4, 4, 4});
  fill_box(mask, {{0, 0, 0}, {2, 2, 2}});
  fill_box(mask, {{2, 2, 2}, {2, 2, 2}});
  mask.set(2, 2, 1, true);  // touches the first by an edge, the second by a face
  mask.set(0, 3, 3, true);  // a third region
  clean_mask(mask);
  EXPECT_EQ(mask.count(), 8 + 9);
  EXPECT_FALSE(mask.at(0, 3, 3));
}

TEST(CleanMask, fills_holes_that_do_not_reach_the_border) {
  BitVolume mask({5, 5, 5});
  fill_box(mask, {{0, 0, 0}, {5, 5, 5}});
  mask.set(2, 2, 2, false);
  mask.set(0, 1, 1, false);
  clean_mask(mask);
  EXPECT_TRUE(mask.at(2, 2, 2));
  EXPECT_FALSE(mask.at(0, 1, 1));
}

TEST(CleanMask, refuses_a_mask_without_foreground) {
  BitVolume mask({2, 2, 2});
  try {
    clean_mask(mask);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  }
}

TEST(ClearWhereZero, keeps_the_mask_where_there_is_signal) {
  std::mt19937 random(1);
  const Extent3 shape{3, 5, 130};
  BitVolume mask(shape);
  Block<float> v_low(shape);
  std::int64_t expected = 0;
  for (std::int64_t i = 0; i < v_low.size(); ++i) {
    const Extent3 p = unravel(i, shape);
    const bool inside = random() % 2 == 0;
    const bool signal = random() % 3 != 0;
    mask.set(p.z, p.y, p.x, inside);
    v_low.data()[i] = signal ? 1e-30F : 0.0F;
    expected += inside && signal ? 1 : 0;
  }
  clear_where_zero(mask, v_low.view(), serial_for);
  EXPECT_EQ(mask.count(), expected);
  for (std::int64_t i = 0; i < v_low.size(); ++i) {
    const Extent3 p = unravel(i, shape);
    EXPECT_FALSE(v_low.data()[i] == 0.0F && mask.at(p.z, p.y, p.x)) << to_string(p);
  }
}

}  // namespace
}  // namespace flatfield::methods
