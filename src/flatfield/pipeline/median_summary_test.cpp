#include "flatfield/pipeline/median_summary.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "flatfield/core/error.h"

namespace flatfield::pipeline {
namespace {

MedianSummary summary(const std::string& text) { return {Json::parse(text, "test"), "medians.json"}; }

TEST(MedianSummary, gives_the_value_of_the_channel) {
  const MedianSummary medians = summary(
      R"({"488": {"tile_medians": [40, 46], "mean_of_medians": 43.2}, "561": {"mean_of_medians": 50}})");
  EXPECT_EQ(medians.find("488")->value, 43.2);
  EXPECT_EQ(medians.find("561")->value, 50.0);
  EXPECT_TRUE(medians.warnings().empty());
}

TEST(MedianSummary, gives_the_value_of_another_channel_where_none_matches) {
  const MedianSummary medians = summary(R"({"638": {"mean_of_medians": 7}, "561": {"mean_of_medians": 50}})");
  EXPECT_EQ(medians.find("488")->channel, "561") << "the first in sorted order";
  EXPECT_EQ(medians.find("")->channel, "561");
}

TEST(MedianSummary, leaves_out_malformed_entries_and_names_each) {
  const MedianSummary medians = summary(
      R"({"1": {"mean_of_medians": "43"}, "2": {"mean_of_medians": 0}, "3": {"mean_of_medians": -1}, "4": {},
          "5": null, "6": 43, "7": {"mean_of_medians": null}, "8": {"mean_of_medians": 9}})");
  EXPECT_EQ(medians.warnings().size(), 7U);
  for (int channel = 1; channel <= 7; ++channel) {
    const std::string name = "medians.json: channel " + std::to_string(channel) + " ";
    EXPECT_TRUE(std::ranges::any_of(medians.warnings(), [&](const std::string& warning) {
      return warning.rfind(name, 0) == 0;
    })) << channel;
    EXPECT_EQ(medians.find(std::to_string(channel))->value, 9.0);
  }
}

TEST(MedianSummary, without_entries_gives_none) {
  EXPECT_EQ(summary("{}").find("488"), nullptr);
  EXPECT_EQ(summary(R"({"488": {}})").find("488"), nullptr);
}

TEST(MedianSummary, that_is_no_object_is_refused) {
  EXPECT_THROW(summary("[]"), Error);
  EXPECT_THROW(summary("43"), Error);
}

}  // namespace
}  // namespace flatfield::pipeline
