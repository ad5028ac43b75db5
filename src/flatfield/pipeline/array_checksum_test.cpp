#include "flatfield/pipeline/array_checksum.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "flatfield/storage/memory_store.h"

namespace flatfield::pipeline {
namespace {

constexpr std::int64_t kPlaneBytes = std::int64_t{8} * 8 * 2;
constexpr int kChunks = 16;

/// Counts the chunks that are read.
class CountingStore : public storage::MemoryStore {
 public:
  bool get(std::string_view key, Buffer& into) const override {
    if (key.find(".z") == std::string_view::npos) ++gets;
    return MemoryStore::get(key, into);
  }
  mutable int gets = 0;
};

/// Numbers counted upwards in an array (1, 1, 16, 8, 8) of chunks of four voxels along each axis.
class ArrayChecksum : public testing::Test {
 protected:
  void SetUp() override {
    zarr::ArrayMetadata metadata;
    metadata.shape = {1, 1, 16, 8, 8};
    metadata.chunk_shape = {1, 1, 4, 4, 4};
    metadata.dtype = DType::kUint16;
    array_.emplace(zarr::Array::create(store_, "a", metadata));
    zarr::ChunkScratch scratch;
    std::vector<std::uint16_t> chunk(4 * 4 * 4);
    std::uint16_t next = 0;
    for (std::int64_t i = 0; i < kChunks; ++i) {
      for (std::uint16_t& voxel : chunk) voxel = next++;
      array_->write_chunk({0, 0, i / 4, i / 2 % 2, i % 2}, std::as_bytes(std::span(chunk)), scratch);
    }
    whole_ = array_checksum(*array_);
    store_->gets = 0;
  }

  std::shared_ptr<CountingStore> store_ = std::make_shared<CountingStore>();
  std::optional<zarr::Array> array_;
  std::string whole_;
};

TEST_F(ArrayChecksum, is_the_same_in_any_memory) {
  for (std::int64_t bytes = 1; bytes <= 20 * kPlaneBytes; bytes += 37)
    EXPECT_EQ(array_checksum(*array_, bytes), whole_) << bytes;
}

TEST_F(ArrayChecksum, of_an_array_beyond_the_memory_is_read_in_slabs_of_planes) {
  EXPECT_EQ(array_checksum(*array_, 2 * kPlaneBytes), whole_);
  EXPECT_EQ(store_->gets, 2 * kChunks) << "each chunk is in two slabs";
}

TEST_F(ArrayChecksum, reads_each_chunk_once_where_a_row_of_them_fits) {
  EXPECT_EQ(array_checksum(*array_, 4 * kPlaneBytes), whole_);
  EXPECT_EQ(store_->gets, kChunks);
}

}  // namespace
}  // namespace flatfield::pipeline
