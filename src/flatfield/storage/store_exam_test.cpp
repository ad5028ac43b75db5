#include "flatfield/storage/store_exam.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <thread>

namespace flatfield::storage {
namespace {

using Names = std::vector<std::string>;

std::vector<std::byte> every_byte() {
  std::vector<std::byte> bytes(256);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

TEST_P(StoreExam, an_absent_object_is_a_value_and_no_error) {
  Buffer into;
  into.resize(7);
  EXPECT_FALSE(store_->get("a/b", into));
  EXPECT_EQ(into.size(), 0U);
  EXPECT_FALSE(store_->get_range("a/b", {0, 1}, into));
  EXPECT_FALSE(store_->size("a/b").has_value());
  EXPECT_EQ(get_text(*store_, "a/b"), std::nullopt);
  EXPECT_EQ(store_->list(""), Names{});
  EXPECT_EQ(store_->list("a"), Names{});
  store_->erase("a/b");
  store_->erase_prefix("a");
  store_->erase_prefix("");
}

TEST_P(StoreExam, gives_back_the_bytes_that_were_put) {
  const auto bytes = every_byte();
  store_->put("a/b/c", bytes);
  Buffer into;
  ASSERT_TRUE(store_->get("a/b/c", into));
  ASSERT_EQ(into.size(), bytes.size());
  EXPECT_EQ(std::memcmp(into.data(), bytes.data(), bytes.size()), 0);
  EXPECT_EQ(store_->size("a/b/c"), 256U);
}

TEST_P(StoreExam, a_large_object_survives) {
  std::vector<std::uint32_t> words(5U << 20U);
  std::iota(words.begin(), words.end(), 12345U);
  const auto bytes = std::as_bytes(std::span(words));
  store_->put("large", bytes);
  Buffer into;
  ASSERT_TRUE(store_->get("large", into));
  ASSERT_EQ(into.size(), bytes.size());
  EXPECT_EQ(std::memcmp(into.data(), bytes.data(), bytes.size()), 0);
}

TEST_P(StoreExam, every_object_below_a_prefix_is_visited_with_its_size) {
  for (const char* key : {"a/b/c", "a/b/d/e", "a/f", "ab"}) put_text(*store_, key, key);
  const auto visited = [&](std::string_view prefix) {
    std::map<std::string, std::uint64_t> found;
    store_->visit_all(prefix, [&](const std::string& key, std::uint64_t bytes) {
      EXPECT_TRUE(found.emplace(key, bytes).second) << key;
    });
    return found;
  };
  using Found = std::map<std::string, std::uint64_t>;
  EXPECT_EQ(visited(""), (Found{{"a/b/c", 5}, {"a/b/d/e", 7}, {"a/f", 3}, {"ab", 2}}));
  EXPECT_EQ(visited("a/b"), (Found{{"a/b/c", 5}, {"a/b/d/e", 7}}));
  EXPECT_EQ(visited("c"), Found{});
}

TEST_P(StoreExam, the_stamp_of_an_object_tells_its_size_and_is_another_for_another_content) {
  EXPECT_EQ(store_->stamp("a"), std::nullopt);
  put_text(*store_, "a", "12345");
  const auto first = store_->stamp("a");
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->bytes, 5U);
  EXPECT_EQ(store_->stamp("a"), first);
  put_text(*store_, "a", "1234567");
  EXPECT_NE(store_->stamp("a"), first);
}

TEST_P(StoreExam, removing_leftovers_leaves_the_objects) {
  put_text(*store_, "a/b", "1");
  put_text(*store_, "a/c.tmp-x", "2");
  store_->erase_leftovers("");
  store_->erase_leftovers("a");
  EXPECT_EQ(store_->list("a"), (Names{"b", "c.tmp-x"}));
}

TEST_P(StoreExam, an_empty_object_exists) {
  store_->put("empty", {});
  Buffer into;
  into.resize(3);
  EXPECT_TRUE(store_->get("empty", into));
  EXPECT_EQ(into.size(), 0U);
  EXPECT_EQ(store_->size("empty"), 0U);
}

TEST_P(StoreExam, a_second_put_replaces_the_whole_object) {
  put_text(*store_, "a", "a long first version");
  put_text(*store_, "a", "short");
  EXPECT_EQ(get_text(*store_, "a"), "short");
  EXPECT_EQ(store_->list(""), Names{"a"});
}

TEST_P(StoreExam, reads_ranges) {
  put_text(*store_, "a/range", "0123456789");
  Buffer into;
  ASSERT_TRUE(store_->get_range("a/range", {2, 3}, into));
  EXPECT_EQ(into.text(), "234");
  ASSERT_TRUE(store_->get_range("a/range", {9, 1}, into));
  EXPECT_EQ(into.text(), "9");
  ASSERT_TRUE(store_->get_range("a/range", {0, 10}, into));
  EXPECT_EQ(into.text(), "0123456789");
}

TEST_P(StoreExam, refuses_a_range_beyond_the_end_of_the_object) {
  put_text(*store_, "a", "0123456789");
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  Buffer into;
  for (const ByteRange range :
       {ByteRange{0, 11}, ByteRange{10, 1}, ByteRange{11, 1}, ByteRange{5, kHuge},
        ByteRange{kHuge, 1}, ByteRange{kHuge - 1, kHuge}})
    EXPECT_EQ(error_code_of([&] { (void)store_->get_range("a", range, into); }),
              ErrorCode::kBadInput);
}

TEST_P(StoreExam, reads_tails_and_says_how_large_the_object_is) {
  put_text(*store_, "a/tail", "0123456789");
  Buffer into;
  EXPECT_EQ(store_->get_tail("a/tail", 3, into), 10U);
  EXPECT_EQ(into.text(), "789");
  EXPECT_EQ(store_->get_tail("a/tail", 10, into), 10U);
  EXPECT_EQ(into.text(), "0123456789");
  EXPECT_EQ(store_->get_tail("a/tail", 0, into), 10U);
  EXPECT_EQ(into.size(), 0U);
  EXPECT_EQ(store_->get_tail("a/absent", 3, into), std::nullopt);
  for (const std::uint64_t length : {std::uint64_t{11}, std::numeric_limits<std::uint64_t>::max()})
    EXPECT_EQ(error_code_of([&] { (void)store_->get_tail("a/tail", length, into); }),
              ErrorCode::kBadInput);
}

TEST_P(StoreExam, an_object_may_be_written_in_pieces) {
  const auto writer = store_->create("a/b/pieces");
  writer->append(as_bytes("01"));
  writer->append({});
  writer->append(as_bytes("234"));
  EXPECT_FALSE(store_->size("a/b/pieces").has_value());
  EXPECT_EQ(store_->list("a/b"), Names{});
  writer->commit();
  EXPECT_EQ(get_text(*store_, "a/b/pieces"), "01234");
  store_->create("empty")->commit();
  EXPECT_EQ(get_text(*store_, "empty"), "");
}

TEST_P(StoreExam, an_object_that_is_not_committed_leaves_the_old_one) {
  put_text(*store_, "a", "old");
  store_->create("a")->append(as_bytes("new"));
  EXPECT_EQ(get_text(*store_, "a"), "old");
  store_->create("b")->append(as_bytes("new"));
  EXPECT_EQ(store_->list(""), Names{"a"});
  const auto writer = store_->create("a");
  writer->append(as_bytes("a longer new one"));
  writer->commit();
  EXPECT_EQ(get_text(*store_, "a"), "a longer new one");
}

TEST_P(StoreExam, what_is_put_soon_or_last_is_there_for_whoever_asks_for_it) {
  for (int i = 0; i < 20; ++i) {
    const std::string key = "soon/" + std::to_string(i);
    store_->put_soon(key, as_bytes("old"));
    store_->put_soon(key, as_bytes(key));
  }
  EXPECT_EQ(get_text(*store_, "soon/19"), "soon/19");
  store_->put_soon("soon/20", {});
  EXPECT_EQ(store_->list("soon").size(), 21U);
  store_->put_last("soon/20", as_bytes("last"));
  EXPECT_EQ(get_text(*store_, "soon/20"), "last");
  store_->flush();
  store_->put_soon("soon/21", {});
  EXPECT_EQ(store_->size("soon/21"), 0U);
  store_->put_soon("soon/22", {});
  store_->erase_prefix("soon");
  EXPECT_EQ(store_->list(""), Names{});
}

TEST_P(StoreExam, lists_the_names_directly_below_a_prefix) {
  for (const char* key : {"t/10", "t/9", "t/0/a", "t/0/b", "t/z.json", "top", "t2/x"})
    put_text(*store_, key, key);
  EXPECT_EQ(store_->list(""), (Names{"t/", "t2/", "top"}));
  EXPECT_EQ(store_->list("t"), (Names{"0/", "10", "9", "z.json"}));
  EXPECT_EQ(store_->list("t/0"), (Names{"a", "b"}));
  EXPECT_EQ(store_->list("to"), Names{});
}

TEST_P(StoreExam, a_prefix_is_no_object) {
  put_text(*store_, "t/0/a", "x");
  Buffer into;
  EXPECT_FALSE(store_->get("t", into));
  EXPECT_FALSE(store_->get("t/0", into));
  EXPECT_FALSE(store_->get_range("t", {0, 1}, into));
  EXPECT_FALSE(store_->size("t").has_value());
  store_->erase("t/0");
  EXPECT_EQ(get_text(*store_, "t/0/a"), "x");
}

TEST_P(StoreExam, nothing_is_below_an_object) {
  put_text(*store_, "t", "x");
  Buffer into;
  EXPECT_FALSE(store_->get("t/0", into));
  EXPECT_FALSE(store_->size("t/0").has_value());
  EXPECT_EQ(store_->list("t"), Names{});
  store_->erase("t/0");
  store_->erase_prefix("t");
  EXPECT_EQ(get_text(*store_, "t"), "x");
}

TEST_P(StoreExam, erases_one_object) {
  put_text(*store_, "a/1", "1");
  put_text(*store_, "a/2", "2");
  store_->erase("a/1");
  EXPECT_EQ(get_text(*store_, "a/1"), std::nullopt);
  EXPECT_EQ(get_text(*store_, "a/2"), "2");
}

TEST_P(StoreExam, erases_what_is_below_a_prefix_and_nothing_else) {
  for (const char* key : {"a/1", "a/b/c/2", "ab/3", "4"}) put_text(*store_, key, key);
  store_->erase_prefix("a");
  EXPECT_EQ(store_->list(""), (Names{"4", "ab/"}));
  put_text(*store_, "a/b/again", "5");
  EXPECT_EQ(get_text(*store_, "a/b/again"), "5");
  store_->erase_prefix("");
  EXPECT_EQ(store_->list(""), Names{});
  put_text(*store_, "a/b/again", "6");
  EXPECT_EQ(get_text(*store_, "a/b/again"), "6");
}

TEST_P(StoreExam, keys_may_have_any_printable_character) {
  const Names names = {"a b", "a%20b", "a+b", "a=b", "a?b", "a#b", "a&b", "ü", ".zarray"};
  for (const auto& name : names) put_text(*store_, "k/" + name, name);
  for (const auto& name : names) EXPECT_EQ(get_text(*store_, "k/" + name), name);
  Names sorted = names;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(store_->list("k"), sorted);
}

TEST_P(StoreExam, refuses_keys_that_could_leave_the_store) {
  using std::string_view_literals::operator""sv;
  Buffer into;
  for (const std::string_view key : {""sv, "/"sv, "/a"sv, "a/"sv, "a//b"sv, "."sv, ".."sv, "../a"sv,
                                     "a/../b"sv, "a/.."sv, "./a"sv, "a\0b"sv}) {
    SCOPED_TRACE(std::string(key));
    EXPECT_EQ(error_code_of([&] { (void)store_->get(key, into); }), ErrorCode::kInternal);
    EXPECT_EQ(error_code_of([&] { store_->put(key, {}); }), ErrorCode::kInternal);
    EXPECT_EQ(error_code_of([&] { (void)store_->create(key); }), ErrorCode::kInternal);
    EXPECT_EQ(error_code_of([&] { (void)store_->get_tail(key, 0, into); }), ErrorCode::kInternal);
    EXPECT_EQ(error_code_of([&] { store_->erase(key); }), ErrorCode::kInternal);
    EXPECT_EQ(error_code_of([&] { (void)store_->size(key); }), ErrorCode::kInternal);
    if (key.empty()) continue;
    EXPECT_EQ(error_code_of([&] { store_->erase_prefix(key); }), ErrorCode::kInternal);
    EXPECT_EQ(error_code_of([&] { (void)store_->list(key); }), ErrorCode::kInternal);
  }
}

TEST_P(StoreExam, describes_an_object_in_full) {
  const std::string name = store_->describe("t/0/a");
  EXPECT_TRUE(name.ends_with("/t/0/a")) << name;
  EXPECT_EQ(name, store_->describe("") + "/t/0/a");
}

TEST_P(StoreExam, many_threads_may_put_and_get_at_once) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([this, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string key = "many/" + std::to_string(i) + "/" + std::to_string(t);
        put_text(*store_, key, key);
        EXPECT_EQ(get_text(*store_, key), key);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store_->list("many").size(), 25U);
  EXPECT_EQ(store_->list("many/7").size(), 8U);
}

TEST_P(StoreExam, a_reader_never_sees_half_an_object) {
  constexpr std::size_t kSize = 200'000;
  put_text(*store_, "shared", std::string(kSize, 'a'));
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (const char letter : {'b', 'c'})
    writers.emplace_back([&, letter] {
      const std::string text(kSize + static_cast<std::size_t>(letter), letter);
      while (!stop) put_text(*store_, "shared", text);
    });
  for (int i = 0; i < 100; ++i) {
    const auto text = get_text(*store_, "shared");
    ASSERT_TRUE(text.has_value());
    EXPECT_TRUE(text->size() >= kSize);
    EXPECT_EQ(text->find_first_not_of(text->front()), std::string::npos);
  }
  stop = true;
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(store_->list(""), Names{"shared"});
}

}  // namespace
}  // namespace flatfield::storage
