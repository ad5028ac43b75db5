#include "flatfield/pipeline/tile_result.h"

#include <gtest/gtest.h>

namespace flatfield::pipeline {
namespace {

TEST(TileResult, is_reported_again_where_the_tile_is_skipped) {
  TileResult result;
  result.status = TileStatus::kBackgroundOnly;
  result.reason = "there is no mask";
  result.quality["tile"]["verdict"] = "pass";
  TileResult skipped;
  skipped.status = TileStatus::kSkipped;
  skipped.reason = "finished already";
  take_outcome(Json::parse(outcome_json(result).dump(0), ""), skipped);
  EXPECT_EQ(skipped.finished_as.find("status")->as_string(), "background_only");
  EXPECT_EQ(skipped.finished_as.find("reason")->as_string(), "there is no mask");
  EXPECT_EQ(skipped.quality, result.quality);
  EXPECT_EQ(skipped.reason, "finished already");
}

TEST(TileResult, tells_which_mask_the_tile_was_corrected_with) {
  TileResult result;
  ASSERT_NE(outcome_json(result).find(kLowMaskKey), nullptr);
  EXPECT_TRUE(outcome_json(result).find(kLowMaskKey)->is_null());
  result.low_mask = "(1, 2, 3), crc32c 00000000";
  EXPECT_EQ(outcome_json(result).find(kLowMaskKey)->as_string(), result.low_mask);
}

TEST(TileResult, takes_no_harm_from_an_outcome_that_is_none) {
  for (const char* text : {"null", "{}", "[]", R"({"status": 7, "qc": {}})", R"({"status": "corrected", "reason": [], "qc": 1})"}) {
    TileResult skipped;
    take_outcome(Json::parse(text, ""), skipped);
    EXPECT_TRUE(skipped.quality.is_null()) << text;
    const bool is_known = !skipped.finished_as.is_null();
    EXPECT_TRUE(!is_known || skipped.finished_as.find("reason")->is_null()) << text;
  }
}

}  // namespace
}  // namespace flatfield::pipeline
