#include "flatfield/zarr/shard_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "flatfield/storage/memory_store.h"
#include "flatfield/zarr/array.h"
#include "flatfield/zarr/shard_writer.h"

namespace flatfield::zarr {
namespace {

using storage::ByteRange;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// A store in memory that keeps the bytes of every reading.
class CountingStore final : public storage::MemoryStore {
 public:
  bool get(std::string_view key, Buffer& into) const override {
    const bool found = MemoryStore::get(key, into);
    bytes.push_back(into.size());
    return found;
  }
  bool get_range(std::string_view key, ByteRange range, Buffer& into) const override {
    bytes.push_back(range.length);
    return MemoryStore::get_range(key, range, into);
  }
  std::optional<std::uint64_t> get_tail(std::string_view key, std::uint64_t length,
                                        Buffer& into) const override {
    bytes.push_back(length);
    return MemoryStore::get_tail(key, length, into);
  }

  mutable std::vector<std::uint64_t> bytes;
};

class ShardReaderTest : public testing::Test {
 protected:
  using Requests = std::vector<std::uint64_t>;

  /// A row of shards of `per_shard` chunks of `chunk_bytes` bytes; those in `missing` are not
  /// stored.
  Array make_array(std::int64_t shards, std::int64_t per_shard, std::int64_t chunk_bytes,
                   const std::vector<std::int64_t>& missing = {}) {
    ArrayMetadata metadata;
    metadata.zarr_format = 3;
    metadata.dtype = DType::kUint8;
    metadata.shape = {shards * per_shard * chunk_bytes};
    metadata.chunk_shape = {chunk_bytes};
    metadata.shard_shape = {per_shard * chunk_bytes};
    metadata.fill_value = {std::byte{200}};
    metadata.key_encoding = KeyEncoding::kDefault;
    const Array array = Array::create(store_, "a", metadata);
    for (std::int64_t shard = 0; shard < shards; ++shard) {
      std::vector<std::size_t> order;
      for (std::int64_t i = 0; i < per_shard; ++i)
        if (!is_in(missing, shard * per_shard + i)) order.push_back(static_cast<std::size_t>(i));
      ShardWriter writer(array, {shard * per_shard}, order, std::make_shared<ReorderBuffer>(0));
      for (const std::size_t i : order) {
        const std::vector<std::byte> content(
            static_cast<std::size_t>(chunk_bytes),
            value(shard * per_shard + static_cast<std::int64_t>(i), missing));
        writer.put(i, array.encode_chunk(content, scratch_));
      }
      writer.finish();
    }
    index_bytes_ = static_cast<std::uint64_t>(16 * per_shard + 4);
    return Array::open(store_, "a");  // knows nothing of what was written
  }

  static bool is_in(const std::vector<std::int64_t>& numbers, std::int64_t number) {
    return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
  }
  /// What the elements of a chunk are.
  static std::byte value(std::int64_t number, const std::vector<std::int64_t>& missing = {}) {
    return is_in(missing, number) ? std::byte{200} : static_cast<std::byte>(number + 1);
  }

  /// Reads chunks together; returns the bytes of the requests that it took.
  Requests read(const Array& array, const std::vector<std::int64_t>& numbers,
                const std::vector<std::int64_t>& missing = {}) {
    store_->bytes.clear();
    std::vector<Shape> indices;
    for (const std::int64_t number : numbers) indices.push_back({number});
    std::vector<int> visits(numbers.size());
    array.read_chunks(indices, scratch_, [&](std::size_t i, std::span<const std::byte> chunk) {
      ++visits[i];
      expect_all(chunk, value(numbers[i], missing));
    });
    EXPECT_EQ(visits, std::vector<int>(numbers.size(), 1));
    return store_->bytes;
  }
  void read_one(const Array& array, std::int64_t number,
                const std::vector<std::int64_t>& missing = {}) {
    std::vector<std::byte> chunk(array.metadata().chunk_bytes());
    EXPECT_EQ(array.read_chunk({number}, chunk, scratch_), !is_in(missing, number));
    expect_all(chunk, value(number, missing));
  }
  static void expect_all(std::span<const std::byte> chunk, std::byte wanted) {
    EXPECT_TRUE(std::all_of(chunk.begin(), chunk.end(), [&](std::byte b) { return b == wanted; }));
  }

  std::shared_ptr<CountingStore> store_ = std::make_shared<CountingStore>();
  ChunkScratch scratch_;
  std::uint64_t index_bytes_ = 0;
};

TEST_F(ShardReaderTest, the_index_of_a_shard_is_read_once) {
  const Array array = make_array(2, 4, 1000);
  store_->bytes.clear();
  for (const std::int64_t number : {0, 5, 3, 7, 1}) read_one(array, number);
  EXPECT_EQ(store_->bytes, (Requests{index_bytes_, 1000, index_bytes_, 1000, 1000, 1000, 1000}));
}

TEST_F(ShardReaderTest, a_shard_that_vanishes_after_its_index_was_read_is_an_error_and_not_absent) {
  const Array array = make_array(1, 4, 1000);
  read_one(array, 0);
  store_->erase_prefix("a/c");
  std::vector<std::byte> chunk(array.metadata().chunk_bytes());
  try {
    (void)array.read_chunk({1}, chunk, scratch_);
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kReadFailed);
  }
}

TEST_F(ShardReaderTest, chunks_that_lie_side_by_side_take_one_request) {
  const Array array = make_array(2, 8, 100'000);
  EXPECT_EQ(read(array, {2, 1}), (Requests{index_bytes_, 200'000}));
  EXPECT_EQ(read(array, {4, 4}), (Requests{100'000}));
  // Chunks of two shards are not side by side.
  EXPECT_EQ(read(array, {7, 8}), (Requests{100'000, index_bytes_, 100'000}));
}

TEST_F(ShardReaderTest, a_small_gap_is_read_and_a_large_one_is_not) {
  const Array small = make_array(1, 16, 60'000);
  EXPECT_EQ(read(small, {3, 5}), (Requests{index_bytes_, 180'000}));
  const Array large = make_array(1, 16, 70'000);
  EXPECT_EQ(read(large, {3, 5, 6}), (Requests{index_bytes_, 70'000, 140'000}));
}

TEST_F(ShardReaderTest, a_shard_of_which_most_is_needed_is_read_whole) {
  const Array array = make_array(1, 10, 100'000);
  // 50 %: what is needed.
  EXPECT_EQ(read(array, {0, 2, 4, 6, 9}),
            (Requests{index_bytes_, 100'000, 100'000, 100'000, 100'000, 100'000}));
  // 60 %: everything from the first to the last of them.
  EXPECT_EQ(read(array, {9, 0, 1, 2, 4, 6}), (Requests{1'000'000}));
  // What is not stored does not count.
  const std::vector<std::int64_t> missing{1, 3, 5};
  const Array sparse = make_array(1, 10, 100'000, missing);
  EXPECT_EQ(read(sparse, {0, 1, 4, 7, 9, 6}, missing), (Requests{index_bytes_, 700'000}));
}

TEST_F(ShardReaderTest, a_request_is_never_larger_than_16_mebibytes) {
  const Array array = make_array(1, 20, kMiB);
  std::vector<std::int64_t> all(20);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(read(array, all), (Requests{index_bytes_, 16 * kMiB, 4 * kMiB}));
  const Array large = make_array(1, 2, 17 * kMiB);
  EXPECT_EQ(read(large, {0, 1}), (Requests{index_bytes_, 17 * kMiB, 17 * kMiB}));
}

TEST_F(ShardReaderTest, chunks_that_were_expected_take_no_request_of_their_own) {
  const std::vector<std::int64_t> missing{6};
  const Array array = make_array(2, 8, 100'000, missing);
  const std::vector<Shape> row{{5}, {6}, {7}};
  store_->bytes.clear();
  array.expect_chunks(row, scratch_);
  EXPECT_EQ(store_->bytes, (Requests{index_bytes_, 200'000}));
  for (const std::int64_t number : {7, 6, 5, 7}) read_one(array, number, missing);
  array.expect_chunks(std::span(row).first(2), scratch_);  // are there
  EXPECT_EQ(store_->bytes.size(), 2U);
  read_one(array, 4);
  EXPECT_EQ(store_->bytes, (Requests{index_bytes_, 200'000, 100'000}));
  // Others take their place, and the same indices of another array are not they.
  const std::vector<Shape> other{{8}, {9}};
  array.expect_chunks(other, scratch_);
  store_->bytes.clear();
  read_one(array, 5);
  EXPECT_EQ(store_->bytes, (Requests{100'000}));
  const Array again = Array::open(store_, "a");
  store_->bytes.clear();
  read_one(again, 8);
  EXPECT_EQ(store_->bytes, (Requests{index_bytes_, 100'000}));
}

TEST_F(ShardReaderTest, chunks_that_are_too_large_to_be_kept_are_not_expected) {
  const Array array = make_array(1, 3, 12 * static_cast<std::int64_t>(kMiB));
  const std::vector<Shape> all{{0}, {1}, {2}};
  store_->bytes.clear();
  array.expect_chunks(all, scratch_);
  EXPECT_TRUE(store_->bytes.empty());
  array.expect_chunks(std::span(all).first(2), scratch_);
  EXPECT_EQ(store_->bytes.size(), 3U);
  for (const std::int64_t number : {0, 1, 2}) read_one(array, number);
}

TEST_F(ShardReaderTest, any_chunks_in_any_order_are_what_they_are) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 30; ++round) {
    std::vector<std::int64_t> missing;
    for (std::int64_t i = 0; i < 36; ++i)
      if (random() % 4 == 0) missing.push_back(i);
    const Array array =
        make_array(3, 12, 1 + static_cast<std::int64_t>(random() % 90'000), missing);
    std::vector<std::int64_t> asked(1 + random() % 30);
    for (std::int64_t& number : asked) number = static_cast<std::int64_t>(random() % 36);
    if (random() % 2 == 0) {
      std::vector<Shape> indices;
      for (const std::int64_t number : asked) indices.push_back({number});
      array.expect_chunks(indices, scratch_);
      for (const std::int64_t number : asked) read_one(array, number, missing);
    } else {
      read(array, asked, missing);
    }
  }
}

}  // namespace
}  // namespace flatfield::zarr
