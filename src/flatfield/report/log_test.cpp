#include "flatfield/report/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::report {
namespace {

namespace fs = std::filesystem;

/// Messages go to standard error and to a file in a folder of the test's own.
class LogTest : public testing::Test {
 protected:
  LogTest() { fs::create_directories(folder_); }
  ~LogTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::vector<std::string> lines_of(const fs::path& path) const {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  fs::path folder_ =
      fs::temp_directory_path() / ("flatfield_log_test_" + std::to_string(getpid()) + "_" +
                                   testing::UnitTest::GetInstance()->current_test_info()->name());
  fs::path file_ = folder_ / "run.log";
};

TEST_F(LogTest, writes_one_json_object_per_line) {
  testing::internal::CaptureStderr();
  {
    Log log(LogLevel::kDebug, true);
    log.open_file(file_);
    log.debug("first\nsecond line, \"quoted\"");
    Json fields;
    fields["ratio"] = 2.5;
    log.event(LogLevel::kInfo, "global_ratio", "ratio 2.5", fields);
  }
  const std::string printed = testing::internal::GetCapturedStderr();
  const std::vector<std::string> lines = lines_of(file_);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(printed, lines[0] + "\n" + lines[1] + "\n");
  const Json message = Json::parse(lines[0], "log");
  EXPECT_EQ(*message.find("level"), Json("DEBUG"));
  EXPECT_EQ(*message.find("event"), Json("message"));
  EXPECT_EQ(*message.find("message"), Json("first\nsecond line, \"quoted\""));
  EXPECT_TRUE(message.find("time")->is_string());
  const Json event = Json::parse(lines[1], "log");
  EXPECT_EQ(*event.find("level"), Json("INFO"));
  EXPECT_EQ(*event.find("event"), Json("global_ratio"));
  EXPECT_EQ(*event.find("ratio"), Json(2.5));
}

TEST_F(LogTest, writes_lines_for_people_with_time_and_level) {
  testing::internal::CaptureStderr();
  Log log(LogLevel::kInfo, false);
  log.warning("the mask is empty {} %s");
  const std::string printed = testing::internal::GetCapturedStderr();
  const std::regex line(
      R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z WARNING  the mask is empty \{\} %s\n)");
  EXPECT_TRUE(std::regex_match(printed, line)) << printed;
}

TEST_F(LogTest, prints_only_what_is_severe_enough) {
  testing::internal::CaptureStderr();
  Log log(LogLevel::kError, false);
  log.debug("a");
  log.info("b");
  log.warning("c");
  log.error("d");
  log.event(LogLevel::kCritical, "x", "e");
  const std::string printed = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(printed.begin(), printed.end(), '\n'), 2);
  EXPECT_NE(printed.find("ERROR    d"), std::string::npos);
  EXPECT_NE(printed.find("CRITICAL e"), std::string::npos);
}

TEST_F(LogTest, keeps_every_warning_for_the_report_even_if_it_is_not_printed) {
  testing::internal::CaptureStderr();
  Log log(LogLevel::kError, false);
  log.warning("one");
  log.error("not a warning");
  log.warning("two");
  EXPECT_EQ(log.take_warnings(), (std::vector<std::string>{"one", "two"}));
  EXPECT_TRUE(log.take_warnings().empty());
  log.warning("three");
  EXPECT_EQ(log.take_warnings(), std::vector<std::string>{"three"});
  testing::internal::GetCapturedStderr();
}

TEST_F(LogTest, appends_to_the_file_of_an_earlier_run) {
  testing::internal::CaptureStderr();
  for (const std::string message : {"first run", "second run"}) {
    Log log(LogLevel::kInfo, false);
    log.info("before the file is open");
    log.open_file(file_);
    log.info(message);
  }
  testing::internal::GetCapturedStderr();
  const std::vector<std::string> lines = lines_of(file_);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[0].find("first run"), std::string::npos);
  EXPECT_NE(lines[1].find("second run"), std::string::npos);
}

TEST_F(LogTest, has_each_line_in_its_file_at_once) {
  testing::internal::CaptureStderr();
  Log log(LogLevel::kDebug, false);
  log.open_file(file_);
  log.debug("here");
  EXPECT_EQ(lines_of(file_).size(), 1U) << "a run that is killed keeps its log";
  testing::internal::GetCapturedStderr();
}

TEST_F(LogTest, refuses_a_file_that_cannot_be_made) {
  std::ofstream(folder_ / "file") << "x";
  Log log(LogLevel::kInfo, false);
  try {
    log.open_file(folder_ / "file" / "run.log");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
    EXPECT_NE(error.where().find("run.log"), std::string::npos);
  }
}

/// Keeps the warnings.
class WarningListener : public LogListener {
 public:
  void on_event(LogLevel level, std::string_view /*name*/, std::string_view message, const Json& /*fields*/) override {
    if (level == LogLevel::kWarning) warnings.emplace_back(message);
  }
  void on_progress(std::string_view /*stage*/, std::int64_t /*done_bytes*/, std::int64_t /*total_bytes*/) override {}
  std::vector<std::string> warnings;
};

/// More than is kept before it is written, whichever way the file is written.
void fill(Log& log) {
  log.open_file("/dev/full");
  for (int i = 0; i < 1000; ++i) log.info(std::string(100, 'x'));
}

TEST_F(LogTest, says_once_that_its_file_cannot_be_written) {
  testing::internal::CaptureStderr();
  std::vector<std::string> warnings;
  {
    Log log(LogLevel::kInfo, true);
    fill(log);
    warnings = log.take_warnings();
  }
  std::istringstream printed(testing::internal::GetCapturedStderr());
  std::vector<std::string> printed_warnings;
  int messages = 0;
  for (std::string line; std::getline(printed, line);) {
    ASSERT_NO_THROW((void)Json::parse(line, "log")) << line;
    const Json event = Json::parse(line, "log");
    if (*event.find("level") == Json("WARNING"))
      printed_warnings.push_back(event.find("message")->as_string());
    else
      ++messages;
  }
  EXPECT_EQ(messages, 1000);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_TRUE(warnings[0].starts_with("the log file is not complete: ")) << warnings[0];
  EXPECT_NE(warnings[0].find("/dev/full"), std::string::npos) << warnings[0];
  EXPECT_EQ(printed_warnings, warnings);
}

TEST_F(LogTest, tells_its_listener_that_its_file_cannot_be_written) {
  testing::internal::CaptureStderr();
  WarningListener listener;
  {
    Log log(LogLevel::kInfo, listener);
    fill(log);
    EXPECT_EQ(log.take_warnings(), listener.warnings);
  }
  EXPECT_EQ(listener.warnings.size(), 1U);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(LogTest, writes_text_that_is_not_utf8) {
  testing::internal::CaptureStderr();
  Log log(LogLevel::kInfo, true);
  log.info("a path: \xff\xfe");
  const std::string printed = testing::internal::GetCapturedStderr();
  EXPECT_NO_THROW((void)Json::parse(printed, "log")) << printed;
}

TEST_F(LogTest, takes_lines_from_several_threads_whole) {
  testing::internal::CaptureStderr();
  {
    Log log(LogLevel::kInfo, true);
    log.open_file(file_);
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&log, t] {
        for (int i = 0; i < 100; ++i)
          log.warning(std::string(static_cast<std::size_t>(10 + t * 50), 'x'));
      });
    threads.clear();
    EXPECT_EQ(log.take_warnings().size(), 400U);
  }
  testing::internal::GetCapturedStderr();
  const std::vector<std::string> lines = lines_of(file_);
  EXPECT_EQ(lines.size(), 400U);
  for (const std::string& line : lines) ASSERT_NO_THROW((void)Json::parse(line, "log"));
}

TEST_F(LogTest, is_not_interactive_in_a_pipe_or_with_json) {
  testing::internal::CaptureStderr();
  Log log(LogLevel::kInfo, false);
  EXPECT_FALSE(log.interactive());
  EXPECT_FALSE(Log(LogLevel::kInfo, true).interactive());
  log.set_status("never shown");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(LogLevels, are_found_by_name) {
  EXPECT_EQ(log_level_from_name("DEBUG"), LogLevel::kDebug);
  EXPECT_EQ(log_level_from_name("INFO"), LogLevel::kInfo);
  EXPECT_EQ(log_level_from_name("WARNING"), LogLevel::kWarning);
  EXPECT_EQ(log_level_from_name("ERROR"), LogLevel::kError);
  EXPECT_EQ(log_level_from_name("CRITICAL"), LogLevel::kCritical);
  EXPECT_EQ(log_level_from_name("nonsense"), LogLevel::kInfo);
}

TEST(UtcTimestamp, is_iso_8601_and_sorts_by_time) {
  const std::string first = utc_timestamp();
  EXPECT_TRUE(std::regex_match(first, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")))
      << first;
  EXPECT_LE(first, utc_timestamp());
}

}  // namespace
}  // namespace flatfield::report
