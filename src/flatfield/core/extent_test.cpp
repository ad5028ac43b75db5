#include "flatfield/core/extent.h"

#include <gtest/gtest.h>

namespace flatfield {
namespace {

TEST(Extent, is_indexed_in_the_order_z_y_x) {
  Extent3 e{1, 2, 3};
  EXPECT_EQ(e[0], 1);
  EXPECT_EQ(e[1], 2);
  EXPECT_EQ(e[2], 3);
  e[1] = 7;
  EXPECT_EQ(e, (Extent3{1, 7, 3}));
}

TEST(Extent, of_an_empty_axis_has_no_volume) {
  EXPECT_EQ((Extent3{2, 3, 4}).volume(), 24);
  EXPECT_EQ((Extent3{0, 3, 4}).volume(), 0);
  EXPECT_EQ((Extent3{-1, -3, 4}).volume(), 0);
  EXPECT_TRUE((Extent3{2, 0, 4}).empty());
}

TEST(Extent, counts_more_voxels_than_32_bits_hold) {
  EXPECT_EQ((Extent3{20000, 14000, 10000}).volume(), 2'800'000'000'000);
}

TEST(Extent, arithmetic_is_elementwise) {
  const Extent3 a{5, 6, 7};
  const Extent3 b{1, 2, 3};
  EXPECT_EQ(a + b, (Extent3{6, 8, 10}));
  EXPECT_EQ(a - b, (Extent3{4, 4, 4}));
  EXPECT_EQ(a * b, (Extent3{5, 12, 21}));
  EXPECT_EQ(a * 2, (Extent3{10, 12, 14}));
  EXPECT_EQ(min(a, Extent3{9, 1, 7}), (Extent3{5, 1, 7}));
  EXPECT_EQ(max(a, Extent3{9, 1, 7}), (Extent3{9, 6, 7}));
  EXPECT_EQ(ceil_div(a, b), (Extent3{5, 3, 3}));
  EXPECT_EQ(floor_div(a, 2), (Extent3{2, 3, 3}));
  EXPECT_EQ(map_axes(a, [](std::int64_t v) { return -v; }), (Extent3{-5, -6, -7}));
}

TEST(CeilDiv, rounds_up) {
  EXPECT_EQ(ceil_div(0, 4), 0);
  EXPECT_EQ(ceil_div(1, 4), 1);
  EXPECT_EQ(ceil_div(4, 4), 1);
  EXPECT_EQ(ceil_div(5, 4), 2);
}

TEST(Box, intersects_where_both_are) {
  const Box3 a{{0, 0, 0}, {4, 4, 4}};
  EXPECT_EQ(intersect(a, {{2, 3, 1}, {9, 9, 2}}), (Box3{{2, 3, 1}, {2, 1, 2}}));
  EXPECT_TRUE(intersect(a, {{4, 0, 0}, {1, 1, 1}}).empty());
  EXPECT_EQ(intersect(a, {{9, 9, 9}, {1, 1, 1}}).shape, (Extent3{0, 0, 0}));
}

TEST(TileBox, is_clipped_at_the_far_end_of_the_array) {
  const Extent3 shape{5, 8, 3};
  const Extent3 tile{4, 4, 4};
  EXPECT_EQ(tile_box({0, 1, 0}, tile, shape), (Box3{{0, 4, 0}, {4, 4, 3}}));
  EXPECT_EQ(tile_box({1, 0, 0}, tile, shape), (Box3{{4, 0, 0}, {1, 4, 3}}));
}

TEST(Ravel, is_the_inverse_of_unravel) {
  const Extent3 shape{2, 3, 4};
  for (std::int64_t i = 0; i < shape.volume(); ++i) EXPECT_EQ(ravel(unravel(i, shape), shape), i);
}

TEST(Unravel, visits_every_index_in_c_order) {
  const Extent3 shape{2, 3, 4};
  std::int64_t linear = 0;
  for (std::int64_t z = 0; z < 2; ++z)
    for (std::int64_t y = 0; y < 3; ++y)
      for (std::int64_t x = 0; x < 4; ++x) EXPECT_EQ(unravel(linear++, shape), (Extent3{z, y, x}));
}

}  // namespace
}  // namespace flatfield
