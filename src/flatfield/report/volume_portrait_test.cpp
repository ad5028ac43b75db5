#include "flatfield/report/volume_portrait.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/comma_locale.h"

namespace flatfield::report {
namespace {

VolumePortrait small_portrait() {
  VolumePortrait portrait;
  portrait.label = "tile";
  portrait.level = "3";
  portrait.shape = {2, 3, 4};
  portrait.scale_micrometers = {8, 4, 4};
  portrait.target_scale_micrometers = {1, 0.5, 0.5};
  portrait.cuts[0] = {1, Block<std::uint16_t>({1, 3, 4}, 50), Block<std::uint16_t>({1, 3, 4}, 10), Block<std::uint16_t>({1, 3, 4}, 30)};
  portrait.cuts[1] = {1, Block<std::uint16_t>({1, 2, 4}, 50), Block<std::uint16_t>({1, 2, 4}, 10), Block<std::uint16_t>({1, 2, 4}, 30)};
  portrait.cuts[2] = {2, Block<std::uint16_t>({1, 2, 3}, 50), Block<std::uint16_t>({1, 2, 3}, 10), Block<std::uint16_t>({1, 2, 3}, 30)};
  portrait.input.outside[50] = 24;
  portrait.corrected.outside[30] = 24;
  portrait.input_mean = {50, 50};
  portrait.input_deviation = {0, 0};
  portrait.corrected_mean = {30, 30};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto length = static_cast<std::size_t>(portrait.shape[static_cast<int>(axis)]);
    portrait.inside[axis] = {std::vector<double>(length, 10.0), std::vector<double>(length, 30.0)};
  }
  return portrait;
}

const Json& chart(const Json& portrait, const char* group, std::size_t i) {
  return portrait.find("charts")->find(group)->as_array().at(i);
}

TEST(VolumePortrait, PercentileIsTheCountThatAShareLiesAtOrBelow) {
  CountHistogram histogram;
  EXPECT_EQ(count_percentile(histogram, 0.5), 0);
  histogram.inside[7] = 1;
  histogram.outside[3] = 2;
  histogram.outside[65535] = 1;
  EXPECT_EQ(count_percentile(histogram, 0.0), 3);
  EXPECT_EQ(count_percentile(histogram, 0.5), 3);
  EXPECT_EQ(count_percentile(histogram, 0.51), 7);
  EXPECT_EQ(count_percentile(histogram, 1.0), 65535);
}

TEST(VolumePortrait, CutsSayWhereTheyLieAndHowLargeTheyAre) {
  const Json json = draw_pictures(small_portrait()).portrait;
  const Json::Array& cuts = json.find("cuts")->as_array();
  EXPECT_EQ(cuts[0].find("axes")->as_string(), "xy");
  EXPECT_EQ(cuts[1].find("axes")->as_string(), "xz");
  EXPECT_EQ(cuts[2].find("axes")->as_string(), "yz");
  EXPECT_EQ(cuts[0].find("position")->as_double(), 8.0);
  EXPECT_EQ(cuts[1].find("width")->as_double(), 16.0);
  EXPECT_EQ(cuts[1].find("height")->as_double(), 16.0);
  EXPECT_EQ(cuts[2].find("width")->as_double(), 12.0);
}

TEST(VolumePortrait, AStepOfGreyIsTheSameBrightnessOfTissueInAllPictures) {
  VolumePortrait portrait = small_portrait();
  portrait.ratio = 3.0;
  portrait.planes.push_back({kBackgroundId, "counts", {1, 3, 4}, Block<float>({1, 3, 4}, 40.0F)});
  const Json json = draw_pictures(portrait).portrait;
  const auto range = [&](const char* name) {
    const Json::Array& ends = json.find("contrast")->find(name)->as_array();
    return std::pair(ends[0].as_double(), ends[1].as_double());
  };
  EXPECT_EQ(range("after"), std::pair(0.0, 30.0));
  EXPECT_EQ(range("before"), std::pair(0.0, 10.0));
  EXPECT_EQ(range("input"), std::pair(40.0, 50.0));
}

TEST(VolumePortrait, DifferenceLeavesOutTheGlobalRatio) {
  VolumePortrait portrait = small_portrait();
  EXPECT_EQ(draw_pictures(portrait).portrait.find("difference_range")->as_array()[1].as_double(), 20.0);
  portrait.ratio = 3.0;  // 30 / 3 - 10: nothing but the ratio has changed
  EXPECT_EQ(draw_pictures(portrait).portrait.find("difference_range")->as_array()[1].as_double(), 1.0);
}

TEST(VolumePortrait, EvennessIsRelativeToItsMeanAndOpenWherePlanesHoldNothing) {
  VolumePortrait portrait = small_portrait();
  portrait.inside[1].after = {std::numeric_limits<double>::quiet_NaN(), 10.0, 30.0};
  const Json json = draw_pictures(portrait).portrait;
  const Json& after = chart(json, "evenness", 1).find("series")->as_array()[1];
  EXPECT_TRUE(after.find("y")->as_array()[0].is_null());
  EXPECT_EQ(after.find("y")->as_array()[1].as_double(), 0.5);
  EXPECT_EQ(after.find("y")->as_array()[2].as_double(), 1.5);
  EXPECT_EQ(after.find("x")->as_array()[2].as_double(), 8.0);
}

TEST(VolumePortrait, HistogramsAreSharesPerCountWithHolesWhereThereIsNone) {
  VolumePortrait portrait = small_portrait();
  portrait.corrected.outside[31] = 8;
  portrait.has_mask = true;
  portrait.corrected.inside[29] = 5;
  const Json json = draw_pictures(portrait).portrait;
  const Json::Array& series = chart(json, "histograms", 1).find("series")->as_array();
  ASSERT_EQ(series.size(), 2U);
  EXPECT_EQ(series[0].find("y")->as_array()[30].as_double(), 0.75);
  EXPECT_EQ(series[0].find("y")->as_array()[31].as_double(), 0.25);
  EXPECT_TRUE(series[0].find("y")->as_array()[29].is_null());
  EXPECT_EQ(series[1].find("y")->as_array()[29].as_double(), 1.0);
  EXPECT_EQ(series[1].find("x")->as_array()[29].as_double(), 29.0);
}

TEST(VolumePortrait, LongCurvesAreThinnedWithTheirLastValueAndKeepTheirPlaces) {
  VolumePortrait portrait = small_portrait();
  for (int i = 0; i < 5000; ++i) portrait.curves[2].curve.push_back(static_cast<float>(i));
  portrait.curves[2].profile = {1.0F, 2.0F, 3.0F};
  portrait.curves[2].limits = {0.25, 1.2};
  const Json json = draw_pictures(portrait).portrait;
  const Json::Array& series = chart(json, "curves", 0).find("series")->as_array();
  ASSERT_EQ(series.size(), 4U);
  EXPECT_EQ(series[0].find("x")->as_array()[1].as_double(), 4999 * 0.5 / 2);
  const Json::Array& x = series[1].find("x")->as_array();
  const Json::Array& y = series[1].find("y")->as_array();
  EXPECT_LE(x.size(), 1025U);
  EXPECT_EQ(x.back().as_double(), 2499.5);
  EXPECT_EQ(y.back().as_double(), 4999.0);
  EXPECT_EQ(y[10].as_double() * 0.5, x[10].as_double());
  EXPECT_EQ(series[2].find("y")->as_array()[0].as_double(), 0.25);
}

TEST(VolumePortrait, NumbersAreTheSameInAProgramOfALocaleWithADecimalComma) {
  VolumePortrait portrait = small_portrait();
  portrait.ratio = 1.2345678;
  const std::string elsewhere = draw_pictures(portrait).portrait.dump();
  const CommaLocale comma;
  const Json json = draw_pictures(portrait).portrait;
  EXPECT_EQ(json.find("ratio")->as_double(), 1.23457);
  EXPECT_EQ(json.dump(), elsewhere);
}

TEST(VolumePortrait, EvenAVolumeOfNothingButZerosIsDrawn) {
  VolumePortrait portrait = small_portrait();
  portrait.input.outside[50] = portrait.corrected.outside[30] = 0;
  portrait.input.outside[0] = portrait.corrected.outside[0] = 24;
  for (PlaneMeans& means : portrait.inside) means.before.assign(means.before.size(), 0.0);
  portrait.background_planes = {0, 99};
  const VolumePictures pictures = draw_pictures(portrait);
  EXPECT_FALSE(pictures.before.as_string().empty());
  EXPECT_TRUE(chart(pictures.portrait, "evenness", 0).find("series")->as_array()[0].find("y")->as_array()[0].is_null());
  // A plane that the level does not have is left out.
  EXPECT_EQ(chart(pictures.portrait, "plane_statistics", 0).find("series")->as_array()[1].find("x")->as_array().size(), 1U);
}

}  // namespace
}  // namespace flatfield::report
