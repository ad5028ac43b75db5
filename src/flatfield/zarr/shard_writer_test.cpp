#include "flatfield/zarr/shard_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <new>
#include <numeric>
#include <random>
#include <thread>

#include "flatfield/storage/memory_store.h"

namespace flatfield::zarr {
namespace {

using Values = std::vector<std::uint16_t>;

class ShardWriterTest : public testing::Test {
 protected:
  Array make_array(const std::string& path, Shape shape = {7, 10}) {
    ArrayMetadata metadata;
    metadata.zarr_format = 3;
    metadata.shape = std::move(shape);
    metadata.chunk_shape = {2, 3};
    metadata.shard_shape = {4, 6};
    metadata.key_encoding = KeyEncoding::kDefault;
    metadata.fill_value = {std::byte{9}, std::byte{0}};
    metadata.codecs.compressors = {{"zstd", 1}};
    return Array::create(store_, path, metadata);
  }

  /// What chunk `number` of a shard holds.
  static Values content(std::size_t number) {
    Values values(6);
    std::iota(values.begin(), values.end(), static_cast<std::uint16_t>(100 * number));
    return values;
  }

  std::vector<std::byte> encoded(const Array& array, std::size_t number) {
    const Values values = content(number);
    const auto bytes = array.encode_chunk(std::as_bytes(std::span(values)), scratch_);
    return {bytes.begin(), bytes.end()};
  }

  static std::shared_ptr<ReorderBuffer> buffer_of(std::size_t bytes) {
    return std::make_shared<ReorderBuffer>(bytes);
  }

  std::string object(const std::string& key) const {
    return storage::get_text(*store_, key).value_or("none");
  }

  std::shared_ptr<storage::Store> store_ = std::make_shared<storage::MemoryStore>();
  ChunkScratch scratch_;
};

template <class Action>
ErrorCode code_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error was thrown";
  return ErrorCode::kInternal;
}

TEST_F(ShardWriterTest, chunks_read_back_whatever_order_they_came_in) {
  std::vector<std::size_t> arrivals = {0, 1, 2, 3};
  std::string bytes;
  int round = 0;
  do {
    const std::string path = "a" + std::to_string(round++);
    const Array array = make_array(path);
    ShardWriter writer(array, {0, 0}, {0, 2, 1, 3}, buffer_of(1000));
    for (const std::size_t number : arrivals) {
      EXPECT_EQ(object(path + "/c/0/0"), "none");
      writer.put(number, encoded(array, number));
    }
    EXPECT_NE(object(path + "/c/0/0"), "none");
    writer.finish();
    if (bytes.empty()) bytes = object(path + "/c/0/0");
    EXPECT_EQ(object(path + "/c/0/0"), bytes);
    const Array again = Array::open(store_, path);
    for (std::size_t number = 0; number < 4; ++number) {
      Values values(6);
      EXPECT_TRUE(again.read_chunk(
          {static_cast<std::int64_t>(number / 2), static_cast<std::int64_t>(number % 2)},
          std::as_writable_bytes(std::span(values)), scratch_));
      EXPECT_EQ(values, content(number));
    }
  } while (std::next_permutation(arrivals.begin(), arrivals.end()));
  EXPECT_EQ(round, 24);
}

TEST_F(ShardWriterTest, a_shard_that_is_refused_when_it_is_complete_leaves_what_was_there) {
  const Array array = make_array("a");
  storage::put_text(*store_, "a/c/0/0", "of another run");
  bool is_refused = true;
  const auto check = [&] {
    if (is_refused) throw Error(ErrorCode::kOutputExists, "another run has begun the output anew");
  };
  for (const bool refuse : {true, false}) {
    is_refused = refuse;
    ShardWriter writer(array, {0, 0}, {0, 1}, buffer_of(1000), check);
    writer.put(0, encoded(array, 0));
    if (!refuse) {
      writer.put(1, encoded(array, 1));
      EXPECT_TRUE(writer.finish().has_value());
      continue;
    }
    EXPECT_EQ(code_of([&] { writer.put(1, encoded(array, 1)); }), ErrorCode::kOutputExists);
    EXPECT_EQ(code_of([&] { writer.finish(); }), ErrorCode::kOutputExists);
    EXPECT_EQ(object("a/c/0/0"), "of another run");
  }
  EXPECT_NE(object("a/c/0/0"), "of another run");
}

TEST_F(ShardWriterTest, chunks_that_are_left_out_read_as_the_fill_value) {
  const Array array = make_array("a");
  ShardWriter writer(array, {2, 3}, {0},
                     buffer_of(0));  // chunks [2, 3] and [3, 2] and [3, 3] are not listed
  writer.put(0, encoded(array, 0));
  writer.finish();
  Values values(6);
  EXPECT_TRUE(array.read_chunk({2, 2}, std::as_writable_bytes(std::span(values)), scratch_));
  EXPECT_FALSE(array.read_chunk({3, 3}, std::as_writable_bytes(std::span(values)), scratch_));
  EXPECT_EQ(values, Values(6, 9));

  ShardWriter skipping(array, {0, 0}, {0, 1, 2, 3}, buffer_of(1000));
  skipping.skip(3);
  skipping.put(1, encoded(array, 1));
  skipping.skip(0);
  skipping.skip(2);
  skipping.finish();
  EXPECT_FALSE(array.read_chunk({0, 0}, std::as_writable_bytes(std::span(values)), scratch_));
  EXPECT_TRUE(array.read_chunk({0, 1}, std::as_writable_bytes(std::span(values)), scratch_));
  EXPECT_EQ(values, content(1));
}

TEST_F(ShardWriterTest, a_shard_without_chunks_is_no_object) {
  const Array array = make_array("a");
  ShardWriter writer(array, {0, 0}, {0, 1, 2, 3}, buffer_of(1000));
  for (const std::size_t number : {2U, 0U, 3U, 1U}) writer.skip(number);
  writer.finish();
  EXPECT_EQ(store_->list("a"), std::vector<std::string>{"zarr.json"});
}

TEST_F(ShardWriterTest, keeps_no_more_than_its_buffer) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  ArrayMetadata metadata;
  metadata.zarr_format = 3;
  metadata.shape = metadata.shard_shape = {64, 8};
  metadata.chunk_shape = {1, 8};
  const Array array = Array::create(store_, "a", metadata);
  std::vector<std::size_t> order(64);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  constexpr std::size_t kChunkBytes = 16;
  std::string first;
  for (const int threads : {1, 2, 7}) {
    const auto buffer = buffer_of(3 * kChunkBytes);
    ShardWriter writer(array, {0, 0}, order, buffer);
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t)
      workers.emplace_back([&, delays = std::mt19937(seed + static_cast<unsigned>(t))]() mutable {
        for (std::size_t i = next++; i < order.size(); i = next++) {
          for (unsigned k = 0; k < delays() % 8; ++k) std::this_thread::yield();
          const Values values(8, static_cast<std::uint16_t>(order[i]));
          writer.put(order[i], std::as_bytes(std::span(values)));
        }
      });
    for (auto& worker : workers) worker.join();
    writer.finish();
    EXPECT_LE(buffer->most_held(), 3 * kChunkBytes);
    if (first.empty()) first = object("a/c/0/0");
    EXPECT_EQ(object("a/c/0/0"), first);
  }
  for (std::int64_t i = 0; i < 64; ++i) {
    Values values(8);
    EXPECT_TRUE(array.read_chunk({i, 0}, std::as_writable_bytes(std::span(values)), scratch_));
    EXPECT_EQ(values, Values(8, static_cast<std::uint16_t>(i)));
  }
}

TEST_F(ShardWriterTest, memory_for_chunks_to_come_is_shared_by_shards) {
  ArrayMetadata metadata;
  metadata.zarr_format = 3;
  metadata.shape = {8, 8};
  metadata.shard_shape = {4, 8};
  metadata.chunk_shape = {1, 8};
  const Array array = Array::create(store_, "a", metadata);
  constexpr std::size_t kChunkBytes = 16;
  const auto buffer = buffer_of(3 * kChunkBytes);
  ShardWriter one(array, {0, 0}, {0, 1, 2, 3}, buffer);
  ShardWriter two(array, {4, 0}, {0, 1, 2, 3}, buffer);
  const auto put = [](ShardWriter& writer, std::size_t number) {
    const Values values(8, static_cast<std::uint16_t>(number));
    writer.put(number, std::as_bytes(std::span(values)));
  };
  // What the first shard had kept is room for the second.
  for (const std::size_t number : {2U, 1U, 0U}) put(one, number);
  for (const std::size_t number : {3U, 2U, 1U, 0U}) put(two, number);
  put(one, 3);
  EXPECT_TRUE(one.finish());
  EXPECT_TRUE(two.finish());
  EXPECT_EQ(buffer->most_held(), 3 * kChunkBytes);
}

TEST_F(ShardWriterTest, refuses_chunks_that_it_was_not_told_of) {
  const Array array = make_array("a");
  EXPECT_EQ(code_of([&] {
              ShardWriter(array, {0, 0}, {0, 4}, buffer_of(0));
            }),
            ErrorCode::kInternal);
  EXPECT_EQ(code_of([&] {
              ShardWriter(array, {0, 0}, {1, 1}, buffer_of(0));
            }),
            ErrorCode::kInternal);
  ShardWriter writer(array, {0, 0}, {0, 1}, buffer_of(1000));
  EXPECT_EQ(code_of([&] { writer.put(2, {}); }), ErrorCode::kInternal);
  EXPECT_EQ(code_of([&] { writer.put(9, {}); }), ErrorCode::kInternal);
  writer.put(1, encoded(array, 1));
  EXPECT_EQ(code_of([&] { writer.put(1, {}); }), ErrorCode::kInternal);
  EXPECT_EQ(code_of([&] { writer.finish(); }), ErrorCode::kInternal);
  writer.put(0, encoded(array, 0));
  EXPECT_EQ(code_of([&] { writer.put(0, {}); }), ErrorCode::kInternal);
  EXPECT_NO_THROW(writer.finish());
}

TEST_F(ShardWriterTest, a_shard_that_is_given_up_wakes_who_waits_with_the_cause_and_leaves_nothing) {
  const Array array = make_array("a");
  {
    ShardWriter writer(array, {0, 0}, {0, 1, 2, 3}, buffer_of(0));
    writer.put(0, encoded(array, 0));
    const std::vector<std::byte> content_bytes(5);
    std::thread waiting([&] {
      EXPECT_EQ(code_of([&] { writer.put(2, content_bytes); }), ErrorCode::kBadInput);
    });
    writer.abandon(std::make_exception_ptr(Error(ErrorCode::kBadInput, "a damaged chunk")));
    // It has ended before the thread with the damaged chunk says anything to anybody else.
    waiting.join();
    writer.abandon(std::make_exception_ptr(Error(ErrorCode::kReadFailed, "what came of it")));
    EXPECT_EQ(code_of([&] { writer.put(1, encoded(array, 1)); }), ErrorCode::kBadInput);
    EXPECT_EQ(code_of([&] { writer.finish(); }), ErrorCode::kBadInput);
  }
  EXPECT_EQ(store_->list("a"), std::vector<std::string>{"zarr.json"});
}

TEST_F(ShardWriterTest, a_chunk_that_cannot_be_kept_is_not_left_out_and_fails_the_shard) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "a sanitizer refuses such a span itself";
#endif
  const Array array = make_array("a");
  ShardWriter writer(array, {0, 0}, {0, 1}, buffer_of(std::numeric_limits<std::size_t>::max()));
  const std::byte byte{1};
  // More than any vector can hold, so that copying fails before a byte of it is read.
  const std::span<const std::byte> endless(&byte, std::numeric_limits<std::size_t>::max() / 2 + 1);
  EXPECT_THROW(writer.put(1, endless), std::exception);
  EXPECT_ANY_THROW(writer.put(0, encoded(array, 0)));
  EXPECT_ANY_THROW(writer.finish());
  EXPECT_EQ(object("a/c/0/0"), "none");
}

/// A store whose writers run out of memory, as those of remote stores may, which hold what they send.
class ExhaustedStore final : public storage::MemoryStore {
 public:
  std::unique_ptr<storage::ObjectWriter> create(std::string_view /*key*/) override { throw std::bad_alloc(); }
};

TEST_F(ShardWriterTest, the_failure_of_one_thread_is_that_of_all_whatever_it_is) {
  store_ = std::make_shared<ExhaustedStore>();
  const Array array = make_array("a");
  ShardWriter writer(array, {0, 0}, {0, 1, 2, 3}, buffer_of(0));
  std::thread waiting([&] { EXPECT_ANY_THROW(writer.put(1, std::vector<std::byte>(5))); });
  EXPECT_THROW(writer.put(0, std::vector<std::byte>(5)), std::bad_alloc);
  waiting.join();
  EXPECT_ANY_THROW(writer.finish());
}

TEST_F(ShardWriterTest, chunks_of_shards_are_not_written_by_themselves) {
  const Array array = make_array("a");
  const Values values = content(0);
  EXPECT_EQ(code_of([&] {
              array.write_chunk({0, 0}, std::as_bytes(std::span(values)), scratch_);
            }),
            ErrorCode::kInternal);
}

}  // namespace
}  // namespace flatfield::zarr
