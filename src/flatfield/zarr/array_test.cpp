#include "flatfield/zarr/array.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <numeric>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::zarr {
namespace {

using storage::get_text;
using storage::put_text;
using Index = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

ArrayMetadata small_array() {
  ArrayMetadata metadata;
  metadata.shape = {5, 8};
  metadata.chunk_shape = {2, 8};
  metadata.dtype = DType::kUint16;
  metadata.fill_value = {std::byte{9}, std::byte{1}};
  metadata.codecs.compressors = {{"blosc", 1, "zstd", 1, 0}};
  return metadata;
}

std::vector<std::uint16_t> counted(std::size_t n, std::uint16_t first = 0) {
  std::vector<std::uint16_t> values(n);
  std::iota(values.begin(), values.end(), first);
  return values;
}

template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return {ErrorCode::kInternal, ""};
}

class ArrayTest : public testing::Test {
 protected:
  std::shared_ptr<storage::Store> store_ = std::make_shared<storage::MemoryStore>();
  ChunkScratch scratch_;
};

TEST_F(ArrayTest, a_chunk_that_was_written_is_read) {
  const Array array = Array::create(store_, "t/0", small_array());
  const auto chunk = counted(16, 1000);
  array.write_chunk({2, 0}, std::as_bytes(std::span(chunk)), scratch_);
  EXPECT_EQ(store_->list("t/0"), (Names{".zarray", "2/"}));

  const Array again = Array::open(store_, "t/0");
  std::vector<std::uint16_t> back(16);
  EXPECT_TRUE(again.read_chunk({2, 0}, std::as_writable_bytes(std::span(back)), scratch_));
  EXPECT_EQ(back, chunk);
}

std::array<ChunkPart, 1> one_part(std::int64_t first, std::vector<std::uint16_t>& into) {
  return {{{first, std::as_writable_bytes(std::span(into))}}};
}

TEST_F(ArrayTest, a_chunk_that_is_absent_is_filled_and_said_to_be_absent) {
  const Array array = Array::create(store_, "", small_array());
  std::vector<std::uint16_t> back(16);
  EXPECT_FALSE(array.read_chunk({0, 0}, std::as_writable_bytes(std::span(back)), scratch_));
  EXPECT_EQ(back, std::vector<std::uint16_t>(16, 0x0109));
  std::vector<std::uint16_t> part(3);
  EXPECT_FALSE(
      array.read_chunk_parts({0, 0}, one_part(5, part), scratch_));
  EXPECT_EQ(part, std::vector<std::uint16_t>(3, 0x0109));
}

TEST_F(ArrayTest, some_elements_of_a_chunk_are_read) {
  const Array array = Array::create(store_, "", small_array());
  const auto chunk = counted(16);
  array.write_chunk({1, 0}, std::as_bytes(std::span(chunk)), scratch_);
  std::vector<std::uint16_t> part(8);
  EXPECT_TRUE(
      array.read_chunk_parts({1, 0}, one_part(8, part), scratch_));
  EXPECT_EQ(part, counted(8, 8));
  for (const std::int64_t first : {9, -1, 17})
    EXPECT_EQ(error_of([&] { array.read_chunk_parts({1, 0}, one_part(first, part), scratch_); }).code(),
              ErrorCode::kInternal);
  const std::array<ChunkPart, 1> uneven{
      {{0, std::as_writable_bytes(std::span(part)).first(3)}}};
  EXPECT_EQ(error_of([&] { array.read_chunk_parts({1, 0}, uneven, scratch_); }).code(),
            ErrorCode::kInternal);
}

TEST_F(ArrayTest, encoding_and_storing_may_be_two_steps) {
  const Array array = Array::create(store_, "", small_array());
  const auto chunk = counted(16);
  const auto encoded = array.encode_chunk(std::as_bytes(std::span(chunk)), scratch_);
  EXPECT_EQ(store_->list(""), Names{".zarray"});
  array.write_encoded_chunk({0, 0}, encoded);
  std::vector<std::uint16_t> back(16);
  EXPECT_TRUE(array.read_chunk({0, 0}, std::as_writable_bytes(std::span(back)), scratch_));
  EXPECT_EQ(back, chunk);
}

TEST_F(ArrayTest, an_array_without_dimensions_holds_one_element) {
  ArrayMetadata metadata = small_array();
  metadata.shape = {};
  metadata.chunk_shape = {};
  const Array array = Array::create(store_, "", metadata);
  const auto one = counted(1, 42);
  array.write_chunk({}, std::as_bytes(std::span(one)), scratch_);
  EXPECT_EQ(store_->list(""), (Names{".zarray", "0"}));
  std::vector<std::uint16_t> back(1);
  EXPECT_TRUE(
      Array::open(store_, "").read_chunk({}, std::as_writable_bytes(std::span(back)), scratch_));
  EXPECT_EQ(back, one);
}

TEST_F(ArrayTest, refuses_chunks_outside_of_the_grid) {
  const Array array = Array::create(store_, "", small_array());
  std::vector<std::byte> bytes(32);
  for (const Index& index : {Index{3, 0}, Index{0, 1}, Index{-1, 0}, Index{0}, Index{0, 0, 0}}) {
    EXPECT_EQ(error_of([&] { array.read_chunk(index, bytes, scratch_); }).code(),
              ErrorCode::kInternal);
    EXPECT_EQ(error_of([&] { array.write_chunk(index, bytes, scratch_); }).code(),
              ErrorCode::kInternal);
  }
  ArrayMetadata empty = small_array();
  empty.shape = {0, 8};
  const Array none = Array::create(store_, "none", empty);
  EXPECT_THROW(none.read_chunk({0, 0}, bytes, scratch_), Error);
}

TEST_F(ArrayTest, refuses_memory_that_is_not_a_chunk) {
  const Array array = Array::create(store_, "", small_array());
  std::vector<std::byte> bytes(31);
  EXPECT_EQ(error_of([&] {
              array.read_chunk({0, 0}, bytes, scratch_);
            }).code(),
            ErrorCode::kInternal);
  EXPECT_EQ(error_of([&] {
              array.write_chunk({0, 0}, bytes, scratch_);
            }).code(),
            ErrorCode::kInternal);
}

TEST_F(ArrayTest, a_damaged_chunk_is_named_in_full) {
  const Array array = Array::create(store_, "t/0", small_array());
  put_text(*store_, "t/0/1/0", "");
  std::vector<std::byte> bytes(32);
  const Error error = error_of([&] { array.read_chunk({1, 0}, bytes, scratch_); });
  EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  EXPECT_EQ(error.where(), "memory://t/0/1/0");
  EXPECT_EQ(error.message(), "the 0 bytes of the chunk are not a valid blosc buffer");
}

TEST_F(ArrayTest, a_chunk_cut_at_the_edge_of_the_array_is_an_error) {
  // As N5 writes them: only the row that lies in the array.
  ArrayMetadata metadata = small_array();
  metadata.codecs.compressors.clear();
  const Array array = Array::create(store_, "", metadata);
  const auto row = counted(8);
  store_->put("2/0", std::as_bytes(std::span(row)));
  std::vector<std::byte> bytes(32);
  EXPECT_EQ(error_of([&] {
              array.read_chunk({2, 0}, bytes, scratch_);
            }).message(),
            "the chunk has 16 bytes, expected 32");
}

TEST_F(ArrayTest, keeps_attributes) {
  ArrayMetadata metadata = small_array();
  metadata.attributes["unit"] = "micrometer";
  (void)Array::create(store_, "a", metadata);
  EXPECT_EQ(Array::open(store_, "a").metadata().attributes, metadata.attributes);
  // A new array without attributes does not inherit old ones.
  (void)Array::create(store_, "a", small_array());
  EXPECT_EQ(Array::open(store_, "a").metadata().attributes, Json::object());
}

TEST_F(ArrayTest, damaged_attributes_are_named) {
  (void)Array::create(store_, "a", small_array());
  put_text(*store_, "a/.zattrs", "[1, 2]");
  const Error error = error_of([&] { (void)Array::open(store_, "a"); });
  EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  EXPECT_EQ(error.where(), "memory://a/.zattrs");
}

TEST_F(ArrayTest, what_is_missing_is_told_from_what_is_damaged) {
  const Error missing = error_of([&] { (void)Array::open(store_, "a"); });
  EXPECT_EQ(missing.code(), ErrorCode::kNotFound);
  EXPECT_EQ(missing.where(), "memory://a");
  put_text(*store_, "a/zarr.json", "{}");
  const Error damaged = error_of([&] { (void)Array::open(store_, "a"); });
  EXPECT_EQ(damaged.code(), ErrorCode::kBadInput);
  EXPECT_EQ(damaged.where(), "memory://a/zarr.json");
}

TEST_F(ArrayTest, format_3_counts_where_there_are_both_unless_told_otherwise) {
  ArrayMetadata metadata = small_array();
  (void)Array::create(store_, "a", metadata);
  metadata.zarr_format = 3;
  metadata.shape = {9, 8};
  (void)Array::create(store_, "a", metadata);
  EXPECT_EQ(Array::open(store_, "a").metadata().shape, (Index{9, 8}));
  EXPECT_EQ(Array::open(store_, "a", 3).metadata().shape, (Index{9, 8}));
  EXPECT_EQ(Array::open(store_, "a", 2).metadata().shape, (Index{5, 8}));
  (void)Array::create(store_, "b", metadata);
  EXPECT_EQ(error_of([&] { (void)Array::open(store_, "b", 2); }).code(), ErrorCode::kNotFound);
}

TEST_F(ArrayTest, refuses_to_create_what_cannot_be_encoded_and_writes_nothing) {
  const auto refused = [&](auto change) {
    ArrayMetadata metadata = small_array();
    change(metadata);
    const Error error = error_of([&] { (void)Array::create(store_, "a", metadata); });
    EXPECT_EQ(store_->list(""), Names{});
    return error.code();
  };
  EXPECT_EQ(refused([](auto& m) { m.zarr_format = 4; }), ErrorCode::kUnsupported);
  EXPECT_EQ(refused([](auto& m) { m.shard_shape = {4, 8}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) { m.dimension_names = {"y", "x"}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) { m.codecs.filters.emplace_back(); }), ErrorCode::kUsage);
  const auto refused_v3 = [&](auto change) {
    return refused([&](auto& m) {
      m.zarr_format = 3;
      change(m);
    });
  };
  EXPECT_EQ(refused_v3([](auto& m) { m.shard_shape = {3, 8}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused_v3([](auto& m) { m.shard_shape = {4}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused_v3([](auto& m) { m.dimension_names = {"x"}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused_v3([](auto& m) { m.codecs.order = {0, 0}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused_v3([](auto& m) { m.codecs.compressors = {{"lz4", 1}}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) { m.chunk_shape = {2}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) { m.shape = {-1, 8}; }), ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) { m.fill_value.resize(3); }), ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) { m.separator = '-'; }), ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) {
              m.codecs.compressors.push_back({"zstd", 1});
            }),
            ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) { m.codecs.compressors[0].level = 99; }), ErrorCode::kUsage);
  EXPECT_EQ(refused([](auto& m) { m.attributes = "text"; }), ErrorCode::kUsage);
}

TEST_F(ArrayTest, an_empty_fill_value_is_zero) {
  ArrayMetadata metadata = small_array();
  metadata.fill_value.clear();
  const Array array = Array::create(store_, "", metadata);
  EXPECT_EQ(array.metadata().fill_value, std::vector<std::byte>(2));
}

TEST_F(ArrayTest, time_and_bytes_are_charged_to_the_clock_of_the_thread) {
  const Array array = Array::create(store_, "", small_array());
  const auto chunk = counted(16);
  std::vector<std::uint16_t> back(16);
  StageTotals totals;
  {
    const StageBinding binding(totals);
    array.write_chunk({0, 0}, std::as_bytes(std::span(chunk)), scratch_);
    array.read_chunk({0, 0}, std::as_writable_bytes(std::span(back)), scratch_);
  }
  const auto size = static_cast<std::int64_t>(*store_->size("0/0"));
  EXPECT_EQ(totals.bytes_written.load(), size);
  EXPECT_EQ(totals.bytes_read.load(), size);
  for (const Stage stage : {Stage::kRead, Stage::kDecode, Stage::kEncode, Stage::kWrite})
    EXPECT_GT(totals.wall_nanoseconds[static_cast<std::size_t>(stage)].load(), 0);
}

TEST_F(ArrayTest, the_second_chunk_uses_the_memory_of_the_first) {
  ArrayMetadata metadata = small_array();
  metadata.codecs.order = reversed_axes(2);
  const Array array = Array::create(store_, "", metadata);
  const auto chunk = counted(16);
  std::vector<std::uint16_t> back(16);
  array.write_chunk({0, 0}, std::as_bytes(std::span(chunk)), scratch_);
  array.read_chunk({0, 0}, std::as_writable_bytes(std::span(back)), scratch_);
  const auto* encoded = scratch_.encoded.data();
  const auto* stored = scratch_.codec.stored.data();
  const auto* between = scratch_.codec.between[0].data();
  array.write_chunk({1, 0}, std::as_bytes(std::span(chunk)), scratch_);
  array.read_chunk({1, 0}, std::as_writable_bytes(std::span(back)), scratch_);
  EXPECT_EQ(scratch_.encoded.data(), encoded);
  EXPECT_EQ(scratch_.codec.stored.data(), stored);
  EXPECT_EQ(scratch_.codec.between[0].data(), between);
}

/// A store that counts its readings, and says how many are worth making at once.
class FarStore final : public storage::MemoryStore {
 public:
  int reads_at_once() const override { return at_once; }
  bool get(std::string_view key, Buffer& into) const override {
    ++readings;
    if (key.ends_with("/1/0") && !fault.empty()) throw Error(ErrorCode::kReadFailed, fault, key);
    return MemoryStore::get(key, into);
  }

  int at_once = 4;
  std::string fault;
  mutable std::atomic<int> readings{0};
};

TEST(ExpectedChunks, of_a_store_far_away_are_read_at_once_and_each_once) {
  const auto store = std::make_shared<FarStore>();
  ChunkScratch scratch;
  const Array array = Array::create(store, "a", small_array());
  for (const std::int64_t z : {0, 2}) {
    const auto chunk = counted(16, static_cast<std::uint16_t>(100 * z));
    array.write_chunk({z, 0}, std::as_bytes(std::span(chunk)), scratch);
  }
  const std::vector<Shape> all{{0, 0}, {1, 0}, {2, 0}};
  store->readings = 0;
  for (int round = 0; round < 2; ++round) {
    array.expect_chunks(all, scratch);
    std::vector<std::uint16_t> chunk(16);
    EXPECT_TRUE(array.read_chunk({2, 0}, std::as_writable_bytes(std::span(chunk)), scratch));
    EXPECT_EQ(chunk, counted(16, 200));
    EXPECT_FALSE(array.read_chunk({1, 0}, std::as_writable_bytes(std::span(chunk)), scratch));
    EXPECT_EQ(chunk, std::vector<std::uint16_t>(16, 0x109));
    EXPECT_TRUE(array.read_chunk({0, 0}, std::as_writable_bytes(std::span(chunk)), scratch));
    EXPECT_EQ(chunk, counted(16));
  }
  EXPECT_EQ(store->readings, 3);

  // A failure names the object, and is not taken for a chunk that is not there.
  store->fault = "broken";
  ChunkScratch other;
  EXPECT_EQ(error_of([&] { array.expect_chunks(all, other); }).where(), "a/1/0");
  std::vector<std::uint16_t> chunk(16);
  EXPECT_EQ(error_of([&] {
              array.read_chunk({1, 0}, std::as_writable_bytes(std::span(chunk)), other);
            }).code(),
            ErrorCode::kReadFailed);

  // Files are read when they are needed.
  store->at_once = 1;
  store->readings = 0;
  ChunkScratch third;
  array.expect_chunks(all, third);
  EXPECT_EQ(store->readings, 0);
}

}  // namespace
}  // namespace flatfield::zarr
