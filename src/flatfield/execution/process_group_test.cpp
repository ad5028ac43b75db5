#include "flatfield/execution/process_group.h"

#include <gtest/gtest.h>

#include <numeric>

#include "flatfield/core/error.h"
#include "support/process_threads.h"

namespace flatfield::execution {
namespace {

using testing_support::ProcessThreads;

TEST(ProcessGroup, of_one_process_changes_nothing) {
  ProcessGroup alone;
  EXPECT_TRUE(alone.is_first());
  EXPECT_FALSE(alone.is_shared());
  std::vector<std::uint64_t> values{3, 5};
  alone.sum(values);
  alone.broadcast(values);
  EXPECT_EQ(values, (std::vector<std::uint64_t>{3, 5}));
  EXPECT_EQ(alone.before(values), (std::vector<std::uint64_t>{0, 0}));
  EXPECT_TRUE(alone.ask_first([] { return true; }));
  EXPECT_FALSE(alone.ask_first([] { return false; }));
  EXPECT_THROW(alone.first_only([] { throw Error(ErrorCode::kBadInput, "damaged"); }), Error);
}

TEST(ProcessGroup, shares_things_out_without_gaps_and_nearly_equally) {
  for (int count : {1, 2, 3, 7})
    for (std::int64_t things : {0, 1, 2, 5, 6, 7, 100}) {
      std::vector<Stretch> shares(static_cast<std::size_t>(count));
      ProcessThreads::run(count, [&](ProcessGroup& processes) {
        shares[static_cast<std::size_t>(processes.rank())] = stretch_of(processes, things);
      });
      std::int64_t next = 0;
      for (const Stretch& share : shares) {
        EXPECT_EQ(share.first, next);
        EXPECT_GE(share.last - share.first, things / count);
        EXPECT_LE(share.last - share.first, things / count + 1);
        next = share.last;
      }
      EXPECT_EQ(next, things);
    }
}

TEST(ProcessGroup, hands_on_what_the_first_process_has) {
  ProcessThreads::run(3, [&](ProcessGroup& processes) {
    std::vector<float> values;
    Block<std::uint16_t> block;
    int done = 0;
    processes.first_only([&] {
      values = {1.5F, 2.5F};
      block = Block<std::uint16_t>({1, 2, 3}, std::uint16_t{7});
      ++done;
    });
    EXPECT_EQ(done, processes.is_first() ? 1 : 0);
    processes.broadcast(values);
    processes.broadcast(block);
    EXPECT_EQ(values, (std::vector<float>{1.5F, 2.5F}));
    EXPECT_EQ(block.shape(), (Extent3{1, 2, 3}));
    EXPECT_EQ(block.at(0, 1, 2), 7);
    EXPECT_TRUE(processes.ask_first([&] { return processes.rank() == 0; }));
  });
}

}  // namespace
}  // namespace flatfield::execution
