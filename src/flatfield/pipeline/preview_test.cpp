#include "flatfield/pipeline/preview.h"

#include <gtest/gtest.h>

#include "flatfield/core/error.h"

namespace flatfield::pipeline {
namespace {

TEST(Preview, RegionsAreReadWithOpenEnds) {
  const auto region = parse_region("1:20,:,5:");
  EXPECT_EQ(region[0].first, 1);
  EXPECT_EQ(region[0].last, 20);
  EXPECT_EQ(region[1].first, 0);
  EXPECT_FALSE(region[1].last);
  EXPECT_EQ(region[2].first, 5);
  EXPECT_FALSE(region[2].last);
}

TEST(Preview, RegionOfALevelHoldsEveryVoxelThatItTouches) {
  const Extent3 finest{100, 101, 64};
  EXPECT_EQ(region_at_level(parse_region("3:10,:,:"), finest, finest), (Box3{{3, 0, 0}, {7, 101, 64}}));
  EXPECT_EQ(region_at_level(parse_region("3:10,7:8,:"), finest, {50, 50, 32}), (Box3{{1, 3, 0}, {4, 1, 32}}));
  EXPECT_EQ(region_at_level(parse_region(":200,100:,63:"), finest, {12, 12, 8}), (Box3{{0, 11, 7}, {12, 1, 1}}));
}

TEST(Preview, RegionOutsideTheTileIsRefused) {
  EXPECT_THROW(static_cast<void>(region_at_level(parse_region("100:,:,:"), {100, 10, 10}, {100, 10, 10})), Error);
}

TEST(Preview, ItsNameIsThatOfTheTile) {
  EXPECT_EQ(preview_name("tile_1_ch_2.zarr"), "tile_1_ch_2_preview.zarr");
  EXPECT_EQ(preview_name("tile_1.ome.zarr"), "tile_1_preview.zarr");
  EXPECT_EQ(preview_name("tile"), "tile_preview.zarr");
  EXPECT_TRUE(is_preview("a/tile_preview.zarr"));
  EXPECT_FALSE(is_preview("a/tile.zarr"));
}

}  // namespace
}  // namespace flatfield::pipeline
