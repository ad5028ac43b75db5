#include "flatfield/core/stage_clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <set>
#include <thread>

namespace flatfield {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

std::int64_t cpu(const StageTotals& totals, Stage stage) {
  return totals.cpu_nanoseconds[static_cast<std::size_t>(stage)];
}
std::int64_t wall(const StageTotals& totals, Stage stage) {
  return totals.wall_nanoseconds[static_cast<std::size_t>(stage)];
}

/// Works until the calling thread has used `milliseconds` of CPU.
void burn(int milliseconds) {
  const auto used = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
  };
  const std::int64_t end = used() + milliseconds * kMillisecond;
  while (used() < end) {
  }
}

void pause(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

TEST(StageNames, are_different) {
  std::set<std::string_view> names;
  for (int i = 0; i < kStageCount; ++i) names.insert(stage_name(static_cast<Stage>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kStageCount));
  EXPECT_EQ(stage_name(Stage::kWait), "wait");
}

TEST(StageClock, charges_each_stage_its_own_time) {
  StageTotals totals;
  {
    const StageBinding binding(totals, Stage::kArithmetic);
    burn(10);
    {
      const StageScope scope(Stage::kDecode);
      burn(5);
    }
    burn(10);
    const StageScope scope(Stage::kWait);
    pause(20);
  }
  EXPECT_GE(cpu(totals, Stage::kArithmetic), 20 * kMillisecond);
  EXPECT_GE(cpu(totals, Stage::kDecode), 5 * kMillisecond);
  EXPECT_LT(cpu(totals, Stage::kDecode), 15 * kMillisecond);
  EXPECT_GE(wall(totals, Stage::kWait), 20 * kMillisecond);
  EXPECT_LT(cpu(totals, Stage::kWait), 10 * kMillisecond);
  EXPECT_EQ(cpu(totals, Stage::kEncode), 0);
}

TEST(StageClock, counts_nested_bindings_once) {
  StageTotals totals;
  timespec before{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  {
    const StageBinding outer(totals);
    burn(5);
    {
      const StageBinding inner(totals, Stage::kRead);
      burn(5);
    }
    burn(5);
  }
  timespec after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  const std::int64_t used =
      static_cast<std::int64_t>(after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec -
      before.tv_nsec;
  EXPECT_GE(cpu(totals, Stage::kOther), 10 * kMillisecond);
  EXPECT_GE(cpu(totals, Stage::kRead), 5 * kMillisecond);
  EXPECT_LE(cpu(totals, Stage::kOther) + cpu(totals, Stage::kRead), used);
}

TEST(StageClock, splits_bindings_to_different_totals) {
  StageTotals one;
  StageTotals two;
  {
    const StageBinding outer(one);
    const StageBinding inner(two, Stage::kWrite);
    EXPECT_EQ(bound_totals(), &two);
    burn(5);
  }
  EXPECT_GE(cpu(two, Stage::kWrite), 5 * kMillisecond);
  EXPECT_EQ(cpu(one, Stage::kWrite), 0);
  EXPECT_EQ(bound_totals(), nullptr);
}

TEST(StageClock, knows_the_stage_that_is_active) {
  StageTotals totals;
  EXPECT_EQ(active_stage(), Stage::kOther);
  {
    const StageBinding binding(totals, Stage::kWrite);
    EXPECT_EQ(active_stage(), Stage::kWrite);
    {
      const StageScope scope(Stage::kWait);
      EXPECT_EQ(active_stage(), Stage::kWait);
    }
    EXPECT_EQ(active_stage(), Stage::kWrite);
  }
  EXPECT_EQ(active_stage(), Stage::kOther);
}

TEST(StageClock, does_nothing_on_an_unbound_thread) {
  StageTotals totals;
  const StageBinding binding(totals);
  std::thread([] {
    EXPECT_EQ(bound_totals(), nullptr);
    const StageScope scope(Stage::kEncode);
    count_bytes_read(5);
    burn(1);
  }).join();
  EXPECT_EQ(totals.bytes_read, 0);
  EXPECT_EQ(cpu(totals, Stage::kEncode), 0);
}

TEST(StageClock, adds_up_the_bytes_of_all_threads) {
  StageTotals totals;
  {
    const StageBinding binding(totals);
    count_bytes_read(3);
    count_bytes_written(4);
    std::thread([helped = bound_totals()] {
      const StageBinding helper(*helped);
      count_bytes_read(10);
    }).join();
  }
  EXPECT_EQ(totals.bytes_read, 13);
  EXPECT_EQ(totals.bytes_written, 4);
}

}  // namespace
}  // namespace flatfield
