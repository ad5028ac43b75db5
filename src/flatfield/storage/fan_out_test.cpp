#include "flatfield/storage/fan_out.h"

#include <gtest/gtest.h>

#include <array>
#include <latch>

#include "flatfield/core/stage_clock.h"

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

}  // namespace
}  // namespace flatfield::storage
