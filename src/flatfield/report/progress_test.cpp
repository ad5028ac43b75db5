#include "flatfield/report/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace flatfield::report {
namespace {

/// What a stage of `total` bytes prints that advances in these steps.
std::string printed(bool json, std::int64_t total, const std::vector<std::int64_t>& steps) {
  testing::internal::CaptureStderr();
  {
    Log log(LogLevel::kInfo, json);
    Progress progress(log, "corrected", total);
    for (const std::int64_t bytes : steps) progress.advance(bytes);
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, prints_one_line_at_the_end_of_a_short_stage) {
  const std::string text = printed(false, 100, {30, 30, 40});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_NE(text.find("corrected: 100 %"), std::string::npos) << text;
  EXPECT_NE(text.find(" in 0 s"), std::string::npos) << text;
}

TEST(Progress, prints_nothing_while_a_short_stage_is_not_done) {
  EXPECT_EQ(printed(false, 100, {30, 30}), "");
}

TEST(Progress, is_an_event_with_numbers_in_json) {
  const Json event = Json::parse(printed(true, 2000, {500, 1500}), "log");
  EXPECT_EQ(*event.find("event"), Json("progress"));
  EXPECT_EQ(*event.find("stage"), Json("corrected"));
  EXPECT_EQ(*event.find("done_bytes"), Json(2000));
  EXPECT_EQ(*event.find("total_bytes"), Json(2000));
  EXPECT_EQ(*event.find("seconds_left"), Json(0.0));
  EXPECT_GT(event.find("bytes_per_second")->as_double(), 0.0);
}

TEST(Progress, of_an_empty_stage_can_be_shown) {
  EXPECT_NE(printed(false, 0, {1}).find("100 %"), std::string::npos);
}

/// Notes what it is told.
struct Listener : LogListener {
  void on_event(LogLevel /*level*/, std::string_view name, std::string_view message, const Json& fields) override {
    events.push_back(std::string(name) + ": " + std::string(message));
    last_fields = fields;
  }
  void on_progress(std::string_view stage, std::int64_t done_bytes, std::int64_t total_bytes) override {
    events.push_back(std::string(stage) + " " + std::to_string(done_bytes) + " of " + std::to_string(total_bytes));
    if (done_bytes == 70) throw Error(ErrorCode::kInterrupted, "enough");
  }
  std::vector<std::string> events;
  Json last_fields;
};

TEST(LogListener, is_told_of_events_and_of_all_progress_in_place_of_standard_error) {
  testing::internal::CaptureStderr();
  Listener listener;
  Log log(LogLevel::kWarning, listener);
  Progress progress(log, "corrected", 100);
  progress.advance(30);
  EXPECT_THROW(progress.advance(40), Error);
  log.info("not worth telling");
  log.warning("take care");
  log.failure("run_failed", Error(ErrorCode::kNotFound, "no tile", "/a", "look"));
  EXPECT_EQ(listener.events, (std::vector<std::string>{"corrected 30 of 100", "corrected 70 of 100",
                                                       "message: take care", "run_failed: no tile: /a: look"}));
  EXPECT_EQ(*listener.last_fields.find("error_code"), Json("not_found"));
  EXPECT_EQ(*listener.last_fields.find("where"), Json("/a"));
  EXPECT_EQ(log.take_warnings(), std::vector<std::string>{"take care"});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace flatfield::report
