#include "flatfield/report/grey_picture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace flatfield::report {
namespace {

TEST(GreyPicture, ReducedPlaneIsTheMeanOfEachWindowAndOfWhatIsLeftAtTheEdges) {
  Block<std::uint16_t> plane({1, 3, 5});
  for (std::int64_t i = 0; i < plane.size(); ++i) plane.data()[i] = static_cast<std::uint16_t>(i);
  const Block<float> small = reduced_plane<std::uint16_t>(std::as_const(plane).view(), 2);
  ASSERT_EQ(small.shape(), (Extent3{1, 2, 3}));
  EXPECT_EQ(small.at(0, 0, 0), 3.0F);   // 0 1 5 6
  EXPECT_EQ(small.at(0, 0, 2), 6.5F);   // 4 9
  EXPECT_EQ(small.at(0, 1, 2), 14.0F);  // 14
}

TEST(GreyPicture, StepIsTheSmallestWithWhichAPlaneFits) {
  EXPECT_EQ(reduction_step({1, 100, 400}, 400), 1);
  EXPECT_EQ(reduction_step({1, 401, 3}, 400), 2);
  EXPECT_EQ(reduction_step({1, 0, 0}, 400), 1);
}

TEST(GreyPicture, ShownRangeLeavesOutHalfAPercentAtEitherEndAndIsNeverEmpty) {
  Block<float> plane({1, 1, 1000});
  for (std::int64_t i = 0; i < 1000; ++i) plane.data()[i] = static_cast<float>(i);
  EXPECT_EQ(shown_range(plane).lo, 5.0);
  EXPECT_EQ(shown_range(plane).hi, 994.0);
  const Block<float> flat({1, 2, 2}, 7.0F);
  EXPECT_EQ(shown_range(flat).lo, 6.5);
  EXPECT_EQ(shown_range(flat).hi, 7.5);
  for (const float value : {1e16F, -1e16F, 3e38F}) {
    const ValueRange range = shown_range(Block<float>({1, 2, 2}, value));
    EXPECT_LT(range.lo, double{value});
    EXPECT_GT(range.hi, double{value});
  }
  const Block<float> none({1, 2, 2}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(shown_range(none).hi, 1.0);
}

TEST(GreyPicture, PngHoldsEightBitGreysOfThePlanesSize) {
  Block<float> plane({1, 4, 6}, 1.0F);
  plane.at(0, 0, 0) = std::numeric_limits<float>::infinity();
  const std::vector<std::byte> png = grey_png(std::as_const(plane).view(), {0.0, 2.0});
  ASSERT_GT(png.size(), 33U);
  EXPECT_EQ(std::memcmp(png.data(), "\x89PNG\r\n\x1a\n", 8), 0);
  const auto byte = [&](std::size_t i) { return std::to_integer<int>(png[i]); };
  EXPECT_EQ(byte(19), 6);  // width
  EXPECT_EQ(byte(23), 4);  // height
  EXPECT_EQ(byte(24), 8);  // bits
  EXPECT_EQ(byte(25), 0);  // greys without transparency
}

}  // namespace
}  // namespace flatfield::report
