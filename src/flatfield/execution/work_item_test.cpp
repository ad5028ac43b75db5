#include "flatfield/execution/work_item.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#include "flatfield/core/error.h"

namespace flatfield::execution {
namespace {

/// What all items of a test write down.
struct Record {
  std::mutex mutex;
  std::vector<int> opened;
  std::vector<int> closed;
  std::int64_t bytes_open = 0;
  std::int64_t most_bytes_open = 0;
};

struct ItemSpec {
  std::int64_t bytes = 0;
  std::int64_t parts = 1;
  std::function<void(std::int64_t part)> work;
  std::function<void()> at_open;
  std::function<void()> at_close;
};

class RecordedItem : public WorkItem {
 public:
  RecordedItem(Record& record, int number, ItemSpec spec)
      : record_(record),
        number_(number),
        spec_(std::move(spec)),
        calls_(static_cast<std::size_t>(spec_.parts)) {}

  [[nodiscard]] std::string id() const override { return "item " + std::to_string(number_); }
  [[nodiscard]] std::int64_t peak_bytes() const override { return spec_.bytes; }
  [[nodiscard]] std::int64_t voxel_bytes() const override { return 1; }
  [[nodiscard]] std::int64_t part_count() const override { return spec_.parts; }

  void open() override {
    if (spec_.at_open) spec_.at_open();
    const std::lock_guard lock(record_.mutex);
    record_.opened.push_back(number_);
    record_.bytes_open += spec_.bytes;
    record_.most_bytes_open = std::max(record_.most_bytes_open, record_.bytes_open);
    is_open_ = true;
  }
  void run_part(std::int64_t part, int /*worker*/) override {
    EXPECT_TRUE(is_open_);
    ++calls_.at(static_cast<std::size_t>(part));
    if (spec_.work) spec_.work(part);
    ++finished_parts_;
  }
  void close(int /*worker*/) override {
    EXPECT_EQ(finished_parts_, spec_.parts) << "closed before its last part";
    if (spec_.at_close) spec_.at_close();
    is_open_ = false;
    const std::lock_guard lock(record_.mutex);
    record_.closed.push_back(number_);
    record_.bytes_open -= spec_.bytes;
  }

  [[nodiscard]] bool ran_each_part_once() const {
    return std::all_of(calls_.begin(), calls_.end(), [](const auto& n) { return n == 1; });
  }

 private:
  Record& record_;
  int number_;
  ItemSpec spec_;
  bool is_open_ = false;
  std::vector<std::atomic<int>> calls_;
  std::atomic<std::int64_t> finished_parts_{0};
};

WorkItems make_items(Record& record, const std::vector<ItemSpec>& specs) {
  WorkItems items;
  for (const ItemSpec& spec : specs)
    items.push_back(std::make_unique<RecordedItem>(record, static_cast<int>(items.size()), spec));
  return items;
}

void expect_all_done(const Record& record, const WorkItems& items) {
  ASSERT_EQ(record.opened.size(), items.size());
  for (std::size_t i = 0; i < items.size(); ++i) EXPECT_EQ(record.opened[i], static_cast<int>(i));
  EXPECT_EQ(record.closed.size(), items.size());
  EXPECT_EQ(record.bytes_open, 0);
  for (const auto& item : items)
    EXPECT_TRUE(dynamic_cast<const RecordedItem&>(*item).ran_each_part_once()) << item->id();
}

TEST(RunItems, keeps_the_memory_limit_and_the_order_for_any_number_of_workers) {
  for (int workers = 1; workers <= 8; ++workers) {
    ThreadPool pool(workers);
    for (unsigned seed = 0; seed < 12; ++seed) {
      SCOPED_TRACE(testing::Message() << workers << " workers, seed " << seed);
      std::mt19937 random(seed);
      std::vector<ItemSpec> specs(20);
      for (ItemSpec& spec : specs) {
        spec.bytes = static_cast<std::int64_t>(random() % 101);
        spec.parts = 1 + static_cast<std::int64_t>(random() % 9);
        const std::chrono::microseconds pause(random() % 40);
        spec.work = [pause](std::int64_t) { std::this_thread::sleep_for(pause); };
      }
      Record record;
      const WorkItems items = make_items(record, specs);
      const std::int64_t limit = 100 + static_cast<std::int64_t>(random() % 150);
      run_items(pool, items, limit, {});
      expect_all_done(record, items);
      EXPECT_LE(record.most_bytes_open, limit);
    }
  }
}

TEST(RunItems, needs_no_more_than_the_largest_item) {
  for (int workers = 1; workers <= 8; ++workers) {
    ThreadPool pool(workers);
    Record record;
    const WorkItems items = make_items(record, std::vector<ItemSpec>(30, {100, 3, {}, {}, {}}));
    run_items(pool, items, 100, {});
    expect_all_done(record, items);
    EXPECT_EQ(record.most_bytes_open, 100);
  }
}

TEST(RunItems, runs_parts_of_one_item_at_the_same_time) {
  ThreadPool pool(4);
  Record record;
  std::latch all_started(4);
  const WorkItems items =
      make_items(record, {{10, 4, [&](std::int64_t) { all_started.arrive_and_wait(); }, {}, {}}});
  run_items(pool, items, 10, {});
  expect_all_done(record, items);
}

TEST(RunItems, runs_several_items_at_the_same_time_where_memory_allows) {
  ThreadPool pool(3);
  Record record;
  std::latch all_started(3);
  const WorkItems items = make_items(
      record, std::vector<ItemSpec>(
                  3, {10, 1, [&](std::int64_t) { all_started.arrive_and_wait(); }, {}, {}}));
  run_items(pool, items, 30, {});
  EXPECT_EQ(record.most_bytes_open, 30);
}

TEST(RunItems, opens_the_next_item_while_the_last_part_of_the_one_before_still_runs) {
  ThreadPool pool(2);
  Record record;
  std::latch second_runs(1);
  const WorkItems items =
      make_items(record, {{10, 1, [&](std::int64_t) { second_runs.wait(); }, {}, {}},
                          {10, 1, [&](std::int64_t) { second_runs.count_down(); }, {}, {}}});
  run_items(pool, items, 20, {});  // would never end otherwise
  expect_all_done(record, items);
}

TEST(RunItems, tells_of_each_item_once_and_one_at_a_time) {
  ThreadPool pool(4);
  Record record;
  const WorkItems items = make_items(record, std::vector<ItemSpec>(40, {1, 2, {}, {}, {}}));
  std::vector<std::string> told;
  std::atomic<int> calls_now{0};
  run_items(pool, items, 4, [&](const WorkItem& item) {
    EXPECT_EQ(++calls_now, 1);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    told.push_back(item.id());
    --calls_now;
  });
  std::sort(told.begin(), told.end());
  EXPECT_EQ(std::unique(told.begin(), told.end()), told.end());
  EXPECT_EQ(told.size(), 40U);
}

TEST(RunItems, does_nothing_without_items) {
  ThreadPool pool(2);
  EXPECT_NO_THROW(run_items(pool, {}, 0, {}));
}

TEST(RunItems, refuses_an_item_that_can_never_fit_before_anything_is_opened) {
  ThreadPool pool(2);
  Record record;
  const WorkItems items =
      make_items(record, {{10, 1, {}, {}, {}}, {std::int64_t{5} << 20, 1, {}, {}, {}}});
  try {
    run_items(pool, items, std::int64_t{4} << 20, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory);
    EXPECT_EQ(error.message(), "item 1 needs 5 MiB of memory, but only 4 MiB may be used");
    EXPECT_NE(error.remedy().find("--output-chunks"), std::string::npos);
  }
  EXPECT_TRUE(record.opened.empty());
}

[[noreturn]] void break_down() { throw std::runtime_error("broken"); }

/// Runs 200 items of which number 5 fails in the place that `break_item` chooses.
void expect_a_stop(const std::function<void(ItemSpec&)>& break_item) {
  for (int workers = 1; workers <= 8; ++workers) {
    SCOPED_TRACE(testing::Message() << workers << " workers");
    ThreadPool pool(workers);
    Record record;
    const auto work = [](std::int64_t) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    std::vector<ItemSpec> specs(200, {1, 2, work, {}, {}});
    break_item(specs[5]);
    const WorkItems items = make_items(record, specs);
    try {
      run_items(pool, items, 3, {});
      ADD_FAILURE() << "no error";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "broken");
    }
    EXPECT_LT(record.opened.size(), 150U);
    // The pool is whole again.
    std::atomic<int> calls{0};
    pool.run_on_all([&](int) { ++calls; });
    EXPECT_EQ(calls, workers);
  }
}

TEST(RunItems, stops_after_an_error_of_a_part) {
  expect_a_stop([](ItemSpec& spec) { spec.work = [](std::int64_t) { break_down(); }; });
}

TEST(RunItems, stops_after_an_error_of_opening) {
  expect_a_stop([](ItemSpec& spec) { spec.at_open = break_down; });
}

TEST(RunItems, stops_after_an_error_of_closing) {
  expect_a_stop([](ItemSpec& spec) { spec.at_close = break_down; });
}

TEST(RunItems, stops_after_an_error_of_the_listener) {
  ThreadPool pool(2);
  Record record;
  const WorkItems items = make_items(record, std::vector<ItemSpec>(100, {1, 1, {}, {}, {}}));
  EXPECT_THROW(run_items(pool, items, 2, [](const WorkItem&) { break_down(); }),
               std::runtime_error);
  EXPECT_LT(record.opened.size(), 10U);
}

TEST(RunItems, waits_for_running_parts_before_it_throws) {
  ThreadPool pool(2);
  Record record;
  std::latch both_run(2);
  std::atomic<bool> finished{false};
  const auto work = [&](std::int64_t part) {
    both_run.arrive_and_wait();
    if (part == 0) break_down();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    finished = true;
  };
  const WorkItems items = make_items(record, {{1, 2, work, {}, {}}});
  EXPECT_THROW(run_items(pool, items, 1, {}), std::runtime_error);
  EXPECT_TRUE(finished);
  EXPECT_TRUE(record.closed.empty());
}

TEST(RunItems, runs_on_one_worker_when_called_from_inside_a_pool) {
  ThreadPool pool(3);
  pool.parallel_for(3, [&](std::int64_t) {
    Record record;
    const WorkItems items = make_items(record, std::vector<ItemSpec>(5, {10, 3, {}, {}, {}}));
    run_items(pool, items, 10, {});
    expect_all_done(record, items);
  });
}

TEST(RunItems, counts_the_wait_for_memory_as_waiting) {
  ThreadPool pool(2);
  Record record;
  const auto work = [](std::int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  const WorkItems items = make_items(record, std::vector<ItemSpec>(20, {10, 1, work, {}, {}}));
  StageTotals totals;
  {
    const StageBinding binding(totals);
    run_items(pool, items, 10, {});
  }
  EXPECT_GE(totals.wall_nanoseconds[static_cast<std::size_t>(Stage::kWait)], 15'000'000);
}

}  // namespace
}  // namespace flatfield::execution
