#include "flatfield/storage/write_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/storage/store_exam.h"
#include "support/no_more_threads.h"

namespace flatfield::storage {
namespace {

TEST(WriteQueue, writes_everything_and_holds_no_more_bytes_than_it_may) {
  std::mutex mutex;
  std::map<std::string, std::string> written;
  std::size_t held = 0;
  std::atomic<std::size_t> pushed{0};
  std::size_t done = 0;
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte> bytes) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        const std::scoped_lock lock(mutex);
        held = std::max(held, pushed - done);
        done += bytes.size();
        written[key] = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      },
      4, 4000);
  for (int i = 0; i < 300; ++i) {
    const std::string text(100, static_cast<char>('a' + i % 26));
    queue.push(std::to_string(i), as_bytes(text));
    pushed += text.size();
  }
  queue.flush();
  EXPECT_EQ(written.size(), 300U);
  EXPECT_EQ(written["27"], std::string(100, 'b'));
  EXPECT_LE(held, 1000U) << "small objects count as more than their bytes";
}

TEST(WriteQueue, objects_of_all_sizes_are_what_they_were_while_others_come_and_go) {
  std::mutex mutex;
  std::map<std::string, std::string> written;
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte> bytes) {
        const std::scoped_lock lock(mutex);
        written[key] = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      },
      3, 1 << 20);
  const auto text_of = [](int thread, int i) {
    constexpr std::size_t kSizes[] = {0, 100, 65'536, 70'000, 71'000, 200'000, 2'000'000};
    return std::string(kSizes[(i * 5 + thread) % 7], static_cast<char>('a' + (i + 7 * thread) % 26));
  };
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        // A key is written twice, and the second one stays.
        for (int i = 0; i < 200; ++i) queue.push(std::to_string(t) + "/" + std::to_string(i / 2), as_bytes(text_of(t, i)));
      });
  }
  queue.flush();
  EXPECT_EQ(written.size(), 400U);
  for (int t = 0; t < 4; ++t)
    for (int i = 1; i < 200; i += 2)
      EXPECT_TRUE(written[std::to_string(t) + "/" + std::to_string(i / 2)] == text_of(t, i)) << t << " " << i;
}

TEST(WriteQueue, an_object_that_cannot_be_copied_is_forgotten) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer ends the program where memory cannot be had";
#endif
  std::atomic<int> count{0};
  WriteQueue queue([&](const std::string&, std::span<const std::byte>) { ++count; }, 2, std::size_t{1} << 51U);
  const std::byte byte{1};
  // More than there can be, so that room for it cannot be had.
  EXPECT_THROW(queue.push("a", {&byte, std::size_t{1} << 50U}), std::bad_alloc);
  queue.flush();
  queue.push("a", {});
  queue.flush();
  EXPECT_EQ(count, 1);
}

TEST(WriteQueue, keeps_the_order_of_one_key) {
  std::string last;
  WriteQueue queue(
      [&](const std::string&, std::span<const std::byte> bytes) {
        last = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      },
      8, 1 << 20);
  for (int i = 0; i < 200; ++i) queue.push("key", as_bytes(std::to_string(i)));
  queue.flush();
  EXPECT_EQ(last, "199");
}

TEST(WriteQueue, an_object_that_comes_after_others_is_written_after_them_and_holds_up_none) {
  std::mutex mutex;
  std::vector<std::string> order;
  std::atomic<bool> release{false};
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte>) {
        while (key == "slow" && !release) std::this_thread::yield();
        const std::scoped_lock lock(mutex);
        order.push_back(key);
      },
      3, 1 << 20);
  queue.push("slow", {});
  queue.push("first of the slow", {}, WriteQueue::Turn::kAfterOthers);
  queue.push("second of the slow", {}, WriteQueue::Turn::kAfterOthers);
  queue.push("quick", {});
  queue.flush("quick");
  release = true;
  queue.flush();
  ASSERT_EQ(order.size(), 4U);
  EXPECT_EQ(order[0], "quick");
  EXPECT_EQ(order[1], "slow");  // and the two others at the same time
}

TEST(WriteQueue, no_more_objects_wait_for_others_than_there_are_threads) {
  std::atomic<bool> release{false};
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte>) {
        while (key == "slow" && !release) std::this_thread::yield();
      },
      2, 1 << 20);
  queue.push("slow", {});
  std::atomic<int> pushed{0};
  std::jthread notes([&] {
    for (int i = 0; i < 5; ++i, ++pushed) queue.push("note " + std::to_string(i), {}, WriteQueue::Turn::kAfterOthers);
  });
  while (pushed < 2) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) queue.push("other " + std::to_string(i), {});
  queue.flush("other 99");
  EXPECT_EQ(pushed, 2);
  release = true;
  notes.join();
  queue.flush();
  EXPECT_EQ(pushed, 5);
}

TEST(WriteQueue, an_object_that_comes_after_others_is_not_written_where_one_of_them_is_not) {
  std::atomic<bool> release{false};
  std::atomic<bool> is_written{false};
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte>) {
        if (key == "note") is_written = true;
        if (key != "bad") return;
        while (!release) std::this_thread::yield();
        throw Error(ErrorCode::kWriteFailed, "full", key);
      },
      3, 1 << 20);
  queue.push("bad", {});
  queue.push("good", {});
  queue.push("note", {}, WriteQueue::Turn::kAfterOthers);
  queue.flush("good");
  release = true;
  EXPECT_EQ(error_code_of([&] { queue.flush("note"); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(error_code_of([&] { queue.flush(); }), ErrorCode::kWriteFailed);
  EXPECT_FALSE(is_written);
}

TEST(WriteQueue, many_threads_see_every_object_written_after_those_that_it_speaks_of) {
  std::mutex mutex;
  std::set<std::string> written;
  std::atomic<int> early{0};
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte> bytes) {
        const std::scoped_lock lock(mutex);
        const std::string of(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (!of.empty() && !written.contains(of)) ++early;
        written.insert(key);
      },
      5, 3000);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          const std::string key = std::to_string(t) + "/" + std::to_string(i);
          queue.push(key, {});
          queue.push(key + " is there", as_bytes(key), WriteQueue::Turn::kAfterOthers);
        }
      });
  }
  queue.flush();
  EXPECT_EQ(written.size(), 1600U);
  EXPECT_EQ(early, 0);
}

TEST(WriteQueue, does_not_wait_for_what_is_pushed_while_it_waits) {
  std::atomic<bool> release_first{false};
  std::atomic<bool> release_second{false};
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte>) {
        while (!(key == "first" ? release_first : release_second)) std::this_thread::yield();
      },
      2, 1 << 20);
  queue.push("first", {});
  std::jthread meanwhile([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // so that the flush has most likely begun
    queue.push("second", {});
    release_first = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    release_second = true;  // without which a flush that waits for "second" too would never end
  });
  queue.flush();
  EXPECT_TRUE(release_first);
}

TEST(WriteQueue, takes_an_object_that_is_larger_than_itself) {
  std::atomic<int> count{0};
  WriteQueue queue([&](const std::string&, std::span<const std::byte>) { ++count; }, 2, 10);
  const std::string large(1000, 'x');
  queue.push("a", as_bytes(large));
  queue.push("b", as_bytes(large));
  queue.push("c", {});
  queue.flush();
  EXPECT_EQ(count, 3);
}

TEST(WriteQueue, an_object_that_is_larger_than_itself_is_written_without_a_copy_before_push_returns) {
  const std::string large(5000, 'x');
  const std::byte* seen = nullptr;
  WriteQueue queue([&](const std::string&, std::span<const std::byte> bytes) { seen = bytes.data(); }, 2, 3000);
  queue.push("a", as_bytes(large));
  EXPECT_EQ(seen, as_bytes(large).data());
  seen = nullptr;
  queue.push("b", as_bytes(large), WriteQueue::Turn::kAfterOthers);
  EXPECT_EQ(seen, as_bytes(large).data());
}

TEST(WriteQueue, an_object_that_is_larger_than_itself_comes_after_its_key_and_before_what_is_to_come_after_it) {
  const std::string large(5000, 'x');
  std::mutex mutex;
  std::vector<std::string> order;
  std::atomic<bool> release_first{false};
  std::atomic<bool> large_is_begun{false};
  std::atomic<bool> release_large{false};
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte> bytes) {
        const bool is_large = bytes.size() == large.size();
        if (is_large) large_is_begun = true;
        while (key == "a" && !(is_large ? release_large : release_first)) std::this_thread::yield();
        const std::scoped_lock lock(mutex);
        order.push_back(key + " " + std::to_string(bytes.size()));
      },
      3, 3000);
  queue.push("a", as_bytes("old"));
  std::jthread writer([&] { queue.push("a", as_bytes(large)); });
  queue.push("b", {});
  queue.flush("b");
  EXPECT_FALSE(large_is_begun);
  release_first = true;
  while (!large_is_begun) std::this_thread::yield();
  queue.push("note", {}, WriteQueue::Turn::kAfterOthers);
  queue.push("c", {});
  queue.flush("c");
  release_large = true;
  queue.flush();
  EXPECT_EQ(order, (std::vector<std::string>{"b 0", "a 3", "c 0", "a 5000", "note 0"}));
}

TEST(WriteQueue, a_failure_of_an_object_that_is_larger_than_itself_is_thrown_by_whatever_comes_next) {
  std::atomic<bool> is_written{false};
  WriteQueue queue(
      [&](const std::string& key, std::span<const std::byte>) {
        if (key == "note") is_written = true;
        if (key == "bad") throw Error(ErrorCode::kWriteFailed, "full", key);
      },
      2, 3000);
  const std::string large(5000, 'x');
  EXPECT_EQ(error_code_of([&] { queue.push("bad", as_bytes(large)); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(error_code_of([&] { queue.push("note", {}, WriteQueue::Turn::kAfterOthers); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(error_code_of([&] { queue.flush(); }), ErrorCode::kWriteFailed);
  EXPECT_FALSE(is_written);
}

TEST(WriteQueue, a_failure_is_thrown_by_whatever_comes_next_and_by_every_flush) {
  WriteQueue queue(
      [](const std::string& key, std::span<const std::byte>) {
        if (key == "bad") throw Error(ErrorCode::kWriteFailed, "full", key);
      },
      2, 100);
  queue.push("good", {});
  queue.push("bad", {});
  EXPECT_EQ(error_code_of([&] { queue.flush(); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(error_code_of([&] { queue.flush(); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(error_code_of([&] { queue.push("next", {}); }), ErrorCode::kWriteFailed);
}

TEST(WriteQueue, an_object_that_no_thread_can_be_started_for_is_written_before_push_returns) {
  std::vector<std::string> order;
  WriteQueue queue([&](const std::string& key, std::span<const std::byte>) { order.push_back(key); }, 1, 1 << 20);
  {
    const test::NoMoreThreads none;
    queue.push("a", {});
    queue.push("note", {}, WriteQueue::Turn::kAfterOthers);
    EXPECT_EQ(order, (std::vector<std::string>{"a", "note"}));
  }
  queue.push("b", {});
  queue.flush();
  EXPECT_EQ(order, (std::vector<std::string>{"a", "note", "b"}));
}

TEST(WriteQueue, a_failure_of_an_object_that_no_thread_can_be_started_for_is_thrown_by_whatever_comes_next) {
  WriteQueue queue(
      [](const std::string& key, std::span<const std::byte>) { throw Error(ErrorCode::kWriteFailed, "full", key); }, 2,
      1 << 20);
  const test::NoMoreThreads none;
  EXPECT_EQ(error_code_of([&] { queue.push("bad", {}); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(error_code_of([&] { queue.push("next", {}); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(error_code_of([&] { queue.flush(); }), ErrorCode::kWriteFailed);
}

TEST(WriteQueue, goes_on_with_the_threads_that_it_has_where_no_more_can_be_started) {
  std::atomic<bool> release{false};
  std::atomic<int> count{0};
  WriteQueue queue(
      [&](const std::string&, std::span<const std::byte>) {
        while (!release) std::this_thread::yield();
        ++count;
      },
      4, 1 << 20);
  queue.push("a", {});
  {
    const test::NoMoreThreads none;
    queue.push("b", {});
    queue.push("c", {});
  }
  release = true;
  queue.flush();
  EXPECT_EQ(count, 3);
}

TEST(WriteQueue, ends_without_writing_what_was_not_begun) {
  std::atomic<int> count{0};
  {
    WriteQueue queue(
        [&](const std::string&, std::span<const std::byte>) {
          ++count;
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        },
        1, 1 << 20);
    for (int i = 0; i < 100; ++i) queue.push(std::to_string(i), {});
  }
  EXPECT_LT(count, 100);
}

}  // namespace
}  // namespace flatfield::storage
