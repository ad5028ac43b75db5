#include "flatfield/execution/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::execution {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

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

/// The message of the exception that `action` throws; "" if it throws none.
template <class Action>
std::string thrown_by(Action action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

class ThreadPools : public testing::TestWithParam<int> {
 protected:
  ThreadPool pool_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Workers, ThreadPools, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPools, run_each_index_once) {
  for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
    pool_.parallel_for(count, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
    for (const auto& n : calls) EXPECT_EQ(n, 1);
  }
}

TEST_P(ThreadPools, run_nothing_for_a_negative_count) {
  pool_.parallel_for(-1, [](std::int64_t) { FAIL(); });
}

TEST_P(ThreadPools, run_every_worker_once_and_the_first_on_the_calling_thread) {
  std::vector<std::thread::id> threads(static_cast<std::size_t>(pool_.workers()));
  pool_.run_on_all(
      [&](int worker) { threads[static_cast<std::size_t>(worker)] = std::this_thread::get_id(); });
  EXPECT_EQ(threads.front(), std::this_thread::get_id());
  EXPECT_EQ(std::set<std::thread::id>(threads.begin(), threads.end()).size(), threads.size());
}

TEST_P(ThreadPools, report_the_error_of_the_lowest_index_in_every_run) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    const auto body = [](std::int64_t i) {
      // The later error is there first.
      if (i == 11) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (i >= 11 && i % 2 == 1) throw std::runtime_error("index " + std::to_string(i));
    };
    ASSERT_EQ(thrown_by([&] { pool_.parallel_for(200, body); }), "index 11");
  }
}

TEST_P(ThreadPools, report_the_error_of_the_lowest_worker) {
  const auto body = [](int worker) {
    throw std::runtime_error("worker " + std::to_string(worker));
  };
  EXPECT_EQ(thrown_by([&] { pool_.run_on_all(body); }), "worker 0");
}

TEST_P(ThreadPools, start_no_new_index_after_an_error) {
  std::atomic<std::int64_t> started{0};
  const auto body = [&](std::int64_t i) {
    ++started;
    if (i == 0) throw std::runtime_error("stop");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  EXPECT_EQ(thrown_by([&] { pool_.parallel_for(100'000, body); }), "stop");
  EXPECT_LT(started, 50'000);
}

TEST_P(ThreadPools, work_again_after_an_error) {
  EXPECT_NE(thrown_by([&] {
              pool_.parallel_for(4, [](std::int64_t) { throw std::runtime_error("x"); });
            }),
            "");
  std::atomic<int> calls{0};
  pool_.parallel_for(4, [&](std::int64_t) { ++calls; });
  EXPECT_EQ(calls, 4);
}

TEST_P(ThreadPools, run_calls_from_inside_a_worker_on_that_worker) {
  std::atomic<int> inner_calls{0};
  pool_.parallel_for(20, [&](std::int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    std::int64_t expected = 0;
    pool_.parallel_for(10, [&](std::int64_t i) {
      // Nothing else tells an index of the outer loop from another thread's: order and thread do.
      EXPECT_EQ(i, expected++);
      EXPECT_EQ(std::this_thread::get_id(), outer);
      ++inner_calls;
    });
    if (pool_.workers() > 1)
      pool_.run_on_all([&](int) { EXPECT_EQ(std::this_thread::get_id(), outer); });
  });
  EXPECT_EQ(inner_calls, 200);
}

TEST_P(ThreadPools, let_several_threads_call_at_the_same_time) {
  std::atomic<std::int64_t> sum{0};
  {
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < 4; ++caller)
      callers.emplace_back([&] {
        for (int repeat = 0; repeat < 25; ++repeat)
          pool_.parallel_for(40, [&](std::int64_t i) { sum += i; });
      });
  }
  EXPECT_EQ(sum, 4 * 25 * (39 * 40 / 2));
}

TEST_P(ThreadPools, show_what_workers_wrote_to_the_caller) {
  // Unprotected memory: a missing happens-before is a data race for the thread sanitizer.
  std::vector<std::int64_t> values(257);
  std::int64_t total = 0;
  for (std::int64_t round = 0; round < 200; ++round) {
    pool_.parallel_for(257,
                       [&](std::int64_t i) { values[static_cast<std::size_t>(i)] += i + round; });
    total += std::accumulate(values.begin(), values.end(), std::int64_t{0}) % 7;
  }
  EXPECT_GT(total, 0);
  for (std::int64_t i = 0; i < 257; ++i)
    EXPECT_EQ(values[static_cast<std::size_t>(i)], 200 * i + 199 * 200 / 2);
}

TEST_P(ThreadPools, charge_the_work_of_all_workers_to_the_clock_of_the_caller) {
  StageTotals totals;
  {
    const StageBinding binding(totals);
    pool_.run_on_all([](int) {
      const StageScope scope(Stage::kEncode);
      burn(5);
      count_bytes_written(10);
    });
  }
  EXPECT_GE(totals.cpu_nanoseconds[static_cast<std::size_t>(Stage::kEncode)],
            pool_.workers() * 5 * kMillisecond);
  EXPECT_EQ(totals.bytes_written, 10 * pool_.workers());
}

TEST_P(ThreadPools, leave_no_clock_on_their_workers) {
  StageTotals totals;
  {
    const StageBinding binding(totals);
    pool_.run_on_all([](int) {});
  }
  pool_.run_on_all([](int) { EXPECT_EQ(bound_totals(), nullptr); });
}

TEST_P(ThreadPools, are_given_to_pure_code_as_a_value) {
  const ParallelFor parallel_for = pool_.as_parallel_for();
  std::atomic<std::int64_t> sum{0};
  parallel_for(10, [&](std::int64_t i) { sum += i; });
  EXPECT_EQ(sum, 45);
}

TEST(ThreadPool, waiting_for_helpers_is_no_work) {
  ThreadPool pool(2);
  StageTotals totals;
  {
    const StageBinding binding(totals);
    pool.run_on_all([](int worker) {
      if (worker == 1) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    });
  }
  EXPECT_GE(totals.wall_nanoseconds[static_cast<std::size_t>(Stage::kWait)], 10 * kMillisecond);
}

TEST(ThreadPool, lets_the_only_index_of_a_loop_use_all_workers) {
  ThreadPool pool(2);
  std::set<std::thread::id> threads;
  std::mutex mutex;
  pool.parallel_for(1, [&](std::int64_t) {
    pool.run_on_all([&](int) {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    });
  });
  EXPECT_EQ(threads.size(), 2U);
}

TEST(ThreadPool, can_be_made_and_ended_without_work) {
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ThreadPool(3).workers(), 3);
}

TEST(ThreadPool, refuses_to_have_no_worker) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(-1), Error);
}

}  // namespace
}  // namespace flatfield::execution
