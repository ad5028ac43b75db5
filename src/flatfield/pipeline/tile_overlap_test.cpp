#include "flatfield/pipeline/tile_overlap.h"

#include <gtest/gtest.h>

namespace flatfield::pipeline {
namespace {

PlacedTile placed(const std::array<double, 3>& translation, const std::string& channel = "488") {
  PlacedTile tile;
  tile.channel = channel;
  tile.scale = {8.0, 6.0, 6.0};
  tile.translation = translation;
  tile.shape = {50, 100, 100};
  return tile;
}

template <class... Tile>
std::vector<TileOverlap> overlaps_of(Tile... tile) {
  std::vector<PlacedTile> tiles;
  (tiles.push_back(std::move(tile)), ...);
  return find_overlaps(tiles);
}

TEST(TileOverlaps, are_the_same_place_in_both_tiles) {
  const auto overlaps = overlaps_of(placed({0, 0, 0}), placed({16, 0, 480.2}));
  ASSERT_EQ(overlaps.size(), 1U);
  EXPECT_EQ(overlaps[0].box_of_first, (Box3{{2, 0, 80}, {48, 100, 20}}));
  EXPECT_EQ(overlaps[0].box_of_second, (Box3{{0, 0, 0}, {48, 100, 20}}));
  const auto reversed = overlaps_of(placed({16, 0, 480}), placed({0, 0, 0}));
  ASSERT_EQ(reversed.size(), 1U);
  EXPECT_EQ(reversed[0].box_of_first, overlaps[0].box_of_second);
  EXPECT_EQ(reversed[0].box_of_second, overlaps[0].box_of_first);
}

TEST(TileOverlaps, are_none_between_channels_scales_and_tiles_that_do_not_touch) {
  EXPECT_TRUE(overlaps_of(placed({0, 0, 0}), placed({0, 0, 480}, "561")).empty());
  EXPECT_TRUE(overlaps_of(placed({0, 0, 0}), placed({0, 0, 600})).empty());
  EXPECT_TRUE(overlaps_of(placed({0, 0, 0}), placed({0, 0, 582})).empty()) << "three voxels";
  EXPECT_TRUE(overlaps_of(placed({0, 0, 0}), placed({1e300, 0, 0})).empty());
  PlacedTile other = placed({0, 0, 480});
  other.scale = {8.0, 6.0, 6.1};
  EXPECT_TRUE(overlaps_of(placed({0, 0, 0}), std::move(other)).empty());
}

TEST(TileOverlaps, are_none_between_tiles_at_the_same_place) {
  EXPECT_TRUE(overlaps_of(placed({0, 0, 0}), placed({0, 0, 0})).empty());
  EXPECT_TRUE(overlaps_of(placed({0, 0, 0}), placed({0, 0, 2.9})).empty()) << "rounded to no voxel";
}

TEST(TileOverlaps, lose_what_the_corrected_tiles_lack_by_rounding) {
  const auto overlaps = overlaps_of(placed({0, 0, 0}), placed({16, 0, 480}));
  ASSERT_EQ(overlaps.size(), 1U);
  const TileOverlap common = common_part(overlaps[0], {50, 99, 99}, {47, 100, 100});
  EXPECT_EQ(common.box_of_first, (Box3{{2, 0, 80}, {47, 99, 19}}));
  EXPECT_EQ(common.box_of_second, (Box3{{0, 0, 0}, {47, 99, 19}}));
  EXPECT_EQ(common_part(overlaps[0], {50, 100, 100}, {50, 100, 100}).box_of_first, overlaps[0].box_of_first);
}

TEST(TileOverlaps, that_are_large_are_read_around_their_middle) {
  PlacedTile a = placed({0, 0, 0});
  a.shape = {1000, 1000, 1000};
  PlacedTile b = placed({8, 0, 0});
  b.shape = a.shape;
  const auto overlaps = overlaps_of(std::move(a), std::move(b));
  ASSERT_EQ(overlaps.size(), 1U);
  EXPECT_EQ(overlaps[0].box_of_first.shape, (Extent3{4, 1000, 1000}));
  EXPECT_EQ(overlaps[0].box_of_first.origin.z, 498);
  EXPECT_EQ(overlaps[0].box_of_second.origin.z, 497);
}

}  // namespace
}  // namespace flatfield::pipeline
