#include "flatfield/storage/fan_out.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>

#include "flatfield/core/stage_clock.h"
#include "support/no_more_threads.h"

namespace flatfield::storage {
namespace {

TEST(FanOut, charges_the_time_of_its_threads_to_the_stage_of_the_caller) {
  StageTotals totals;
  std::array<Stage, 3> stages{};
  std::latch begun(3);  // each on a thread of its own
  {
    const StageBinding binding(totals, Stage::kRead);
    fan_out(3, 3, [&](std::int64_t i) {
      stages[static_cast<std::size_t>(i)] = active_stage();
      begun.arrive_and_wait();
    });
  }
  for (const Stage stage : stages) EXPECT_EQ(stage, Stage::kRead);
  EXPECT_EQ(totals.wall_nanoseconds[static_cast<std::size_t>(Stage::kOther)], 0);
  EXPECT_GT(totals.wall_nanoseconds[static_cast<std::size_t>(Stage::kRead)], 0);
}

TEST(FanOut, the_caller_does_the_work_where_no_thread_can_be_started) {
  std::atomic<int> count{0};
  {
    const test::NoMoreThreads none;
    fan_out(10, 4, [&](std::int64_t) { ++count; });
  }
  EXPECT_EQ(count, 10);
}

}  // namespace
}  // namespace flatfield::storage
