#include "flatfield/zarr/metadata.h"

#include <gtest/gtest.h>

#include <limits>

namespace flatfield::zarr {
namespace {

ArrayMetadata shaped(std::vector<std::int64_t> shape, std::vector<std::int64_t> chunks) {
  ArrayMetadata metadata;
  metadata.shape = std::move(shape);
  metadata.chunk_shape = std::move(chunks);
  return metadata;
}

ErrorCode refusal(const ArrayMetadata& metadata) {
  try {
    check_shapes(metadata, ErrorCode::kBadInput, "here");
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "here");
    return error.code();
  }
  ADD_FAILURE() << "accepted";
  return ErrorCode::kInternal;
}

TEST(ArrayMetadata, counts_chunks_and_their_bytes) {
  const ArrayMetadata metadata = shaped({5, 8, 9, 0}, {2, 8, 100, 3});
  EXPECT_EQ(metadata.grid_shape(), (std::vector<std::int64_t>{3, 1, 1, 0}));
  EXPECT_EQ(metadata.chunk_elements(), 4800);
  EXPECT_EQ(metadata.chunk_bytes(), 9600U);
}

TEST(ArrayMetadata, an_array_without_dimensions_has_one_chunk_of_one_element) {
  const ArrayMetadata metadata = shaped({}, {});
  EXPECT_EQ(metadata.chunk_elements(), 1);
  EXPECT_TRUE(metadata.grid_shape().empty());
  EXPECT_EQ(object_key(metadata, {}), "0");
  EXPECT_NO_THROW(check_shapes(metadata, ErrorCode::kBadInput, ""));
}

TEST(ObjectKey, joins_the_indices_with_the_separator) {
  ArrayMetadata metadata = shaped({9, 9, 9}, {1, 1, 1});
  EXPECT_EQ(object_key(metadata, Shape{0, 12, 3}), "0/12/3");
  metadata.separator = '.';
  EXPECT_EQ(object_key(metadata, Shape{0, 12, 3}), "0.12.3");
  EXPECT_EQ(object_key(metadata, Shape{7}), "7");
}

TEST(ObjectKey, may_begin_with_c) {
  ArrayMetadata metadata = shaped({9, 9}, {1, 1});
  metadata.key_encoding = KeyEncoding::kDefault;
  EXPECT_EQ(object_key(metadata, Shape{3, 12}), "c/3/12");
  metadata.separator = '.';
  EXPECT_EQ(object_key(metadata, Shape{3, 12}), "c.3.12");
  EXPECT_EQ(object_key(metadata, {}), "c");
}

TEST(ArrayMetadata, counts_the_chunks_of_a_shard) {
  ArrayMetadata metadata = shaped({9, 9}, {1, 3});
  EXPECT_EQ(metadata.chunks_per_object(), (Shape{1, 1}));
  EXPECT_EQ(metadata.object_shape(), (Shape{1, 3}));
  metadata.shard_shape = {4, 6};
  EXPECT_EQ(metadata.chunks_per_object(), (Shape{4, 2}));
  EXPECT_EQ(metadata.object_shape(), (Shape{4, 6}));
}

TEST(CheckShapes, refuses_shards_that_are_no_multiples_of_their_chunks) {
  ArrayMetadata metadata = shaped({9, 9}, {2, 3});
  for (const Shape& shards : {Shape{2, 3}, Shape{4, 300}}) {
    metadata.shard_shape = shards;
    EXPECT_NO_THROW(check_shapes(metadata, ErrorCode::kBadInput, ""));
  }
  for (const Shape& shards : {Shape{3, 3}, Shape{2}, Shape{2, 0}, Shape{0, 3}, Shape{-2, 3}}) {
    metadata.shard_shape = shards;
    EXPECT_EQ(refusal(metadata), ErrorCode::kBadInput);
  }
  metadata.shard_shape = {std::int64_t{1} << 29, 3};
  EXPECT_EQ(refusal(metadata), ErrorCode::kUnsupported);
}

TEST(ObjectGrid, of_the_longest_axis_that_there_can_be_does_not_overflow) {
  constexpr std::int64_t kLongest = std::numeric_limits<std::int64_t>::max();
  ArrayMetadata metadata = shaped({kLongest, 5}, {2, 2});
  EXPECT_EQ(object_grid(metadata), (Shape{kLongest / 2 + 1, 3}));
  metadata.shard_shape = {4, 6};
  EXPECT_EQ(object_grid(metadata), (Shape{kLongest / 4 + 1, 1}));
}

TEST(CheckOrder, names_each_axis_once) {
  EXPECT_NO_THROW(check_order({}, 3, ErrorCode::kBadInput, ""));
  EXPECT_NO_THROW(check_order({2, 0, 1}, 3, ErrorCode::kBadInput, ""));
  for (const std::vector<int>& order : std::vector<std::vector<int>>{{0}, {0, 0, 1}, {1, 2, 3}})
    EXPECT_THROW(check_order(order, 3, ErrorCode::kBadInput, ""), Error);
  EXPECT_EQ(reversed_axes(3), (std::vector<int>{2, 1, 0}));
}

TEST(CheckShapes, accepts_empty_arrays_and_chunks_larger_than_the_array) {
  EXPECT_NO_THROW(check_shapes(shaped({0, 3}, {1, 1}), ErrorCode::kBadInput, ""));
  EXPECT_NO_THROW(check_shapes(shaped({2}, {1000}), ErrorCode::kBadInput, ""));
}

TEST(CheckShapes, refuses_what_no_array_can_have) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_EQ(refusal(shaped({1, 2}, {1})), ErrorCode::kBadInput);
  EXPECT_EQ(refusal(shaped({-1}, {1})), ErrorCode::kBadInput);
  EXPECT_EQ(refusal(shaped({1}, {0})), ErrorCode::kBadInput);
  EXPECT_EQ(refusal(shaped({1}, {-4})), ErrorCode::kBadInput);
  EXPECT_EQ(refusal(shaped({huge, huge}, {1, 1})), ErrorCode::kBadInput);
  EXPECT_EQ(refusal(shaped({huge, huge, 0}, {1, 1, 1})), ErrorCode::kBadInput);
  EXPECT_EQ(refusal(shaped({huge}, {1})), ErrorCode::kBadInput);  // 2^62 elements of 2 bytes
  EXPECT_EQ(refusal(shaped(std::vector<std::int64_t>(33, 1), std::vector<std::int64_t>(33, 1))),
            ErrorCode::kBadInput);
}

TEST(CheckShapes, refuses_chunks_beyond_two_gibibytes_as_unsupported) {
  EXPECT_EQ(refusal(shaped({1}, {std::int64_t{1} << 30})), ErrorCode::kUnsupported);
  EXPECT_EQ(refusal(shaped({1, 1}, {std::int64_t{1} << 40, std::int64_t{1} << 40})),
            ErrorCode::kUnsupported);
  EXPECT_NO_THROW(check_shapes(shaped({1}, {(std::int64_t{1} << 30) - 16}), ErrorCode::kUsage, ""));
}

}  // namespace
}  // namespace flatfield::zarr
