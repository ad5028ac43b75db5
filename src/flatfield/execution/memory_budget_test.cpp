#include "flatfield/execution/memory_budget.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "flatfield/core/error.h"

namespace flatfield::execution {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

std::string message_of(const auto& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(MemoryBudget, WhatIsReservedIsGivenBackAtTheEndOfItsLife) {
  MemoryBudget budget(10 * kMebibyte);
  {
    const auto first = budget.reserve("a", 4 * kMebibyte);
    const auto second = budget.reserve("b", 6 * kMebibyte);
    EXPECT_EQ(budget.free_bytes(), 0);
  }
  EXPECT_EQ(budget.free_bytes(), 10 * kMebibyte);
  EXPECT_EQ(budget.peak_bytes(), 10 * kMebibyte);
}

TEST(MemoryBudget, AReservationThatMovesIsGivenBackOnce) {
  MemoryBudget budget(10 * kMebibyte);
  auto first = budget.reserve("a", 4 * kMebibyte);
  auto second = std::move(first);
  EXPECT_EQ(budget.free_bytes(), 6 * kMebibyte);
  second = budget.reserve("b", kMebibyte);
  EXPECT_EQ(budget.free_bytes(), 9 * kMebibyte);
  second = {};
  EXPECT_EQ(budget.free_bytes(), 10 * kMebibyte);
}

TEST(MemoryBudget, TooMuchIsRefusedNamingWhoHoldsWhatAndTheLimitThatWouldDo) {
  MemoryBudget budget(10 * kMebibyte);
  const auto held = budget.reserve("background image", 4 * kMebibyte);
  const std::string message =
      message_of([&] { static_cast<void>(budget.reserve("workers", 6 * kMebibyte + 1)); });
  EXPECT_NE(message.find("needs 11 MiB of memory, but only 10 MiB may be used"), std::string::npos) << message;
  EXPECT_NE(message.find("workers 7 MiB, background image 4 MiB"), std::string::npos) << message;
  EXPECT_NE(message.find("--memory-limit 11M"), std::string::npos) << message;
  EXPECT_EQ(budget.free_bytes(), 6 * kMebibyte);
}

TEST(MemoryBudget, LessThanNothingIsADefectAndMakesNoRoom) {
  MemoryBudget budget(10 * kMebibyte);
  try {
    static_cast<void>(budget.reserve("workers", -kMebibyte));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
  }
  EXPECT_EQ(budget.free_bytes(), 10 * kMebibyte);
}

TEST(MemoryBudget, ThePeakIsTheMostThatWasHeldAtTheSameTime) {
  MemoryBudget budget(10 * kMebibyte);
  { const auto early = budget.reserve("early", 3 * kMebibyte); }
  {
    const auto late = budget.reserve("late", 5 * kMebibyte);
    const auto more = budget.reserve("late", 2 * kMebibyte);
  }
  const auto last = budget.reserve("last", kMebibyte);
  EXPECT_EQ(budget.peak_bytes(), 7 * kMebibyte);
}

TEST(MemoryNeeds, TheStageThatNeedsMostDecides) {
  const std::vector<StageNeeds> stages{{"learn", {{"level", 5 * kMebibyte}}},
                                       {"corrected", {{"workers", 4 * kMebibyte}, {"items", 3 * kMebibyte - 5}}}};
  EXPECT_EQ(smallest_limit(stages), 7 * kMebibyte);
  check_needs(stages, 7 * kMebibyte);
  const std::string message = message_of([&] { check_needs(stages, 7 * kMebibyte - 6); });
  EXPECT_NE(message.find("corrected needs 7 MiB"), std::string::npos) << message;
  EXPECT_NE(message.find("--memory-limit 7M"), std::string::npos) << message;
}

}  // namespace
}  // namespace flatfield::execution
