#include "flatfield/pipeline/stored_size.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "flatfield/storage/memory_store.h"

namespace flatfield::pipeline {
namespace {

/// An array of 6 x 2 x 5 chunks, of which the one at (z, y, x) has 100 (z + 1) + x bytes; those of z = 4 are missing.
zarr::Array make_array(const std::shared_ptr<storage::MemoryStore>& store) {
  zarr::ArrayMetadata metadata;
  metadata.shape = {12, 4, 9};
  metadata.chunk_shape = {2, 2, 2};
  zarr::Array array = zarr::Array::create(store, "a", metadata);
  for (std::int64_t z = 0; z < 6; ++z)
    for (std::int64_t y = 0; y < 2; ++y)
      for (std::int64_t x = 0; x < 5; ++x)
        if (z != 4)
          store->put(array.chunk_object_key({z, y, x}),
                     std::vector<std::byte>(static_cast<std::size_t>(100 * (z + 1) + x)));
  return array;
}

TEST(StoredSize, is_the_sum_of_all_objects_by_their_place_along_z) {
  const auto store = std::make_shared<storage::MemoryStore>();
  const StoredSize size = stored_size(make_array(store), 1000, 3);
  EXPECT_EQ(size.objects, 60);
  EXPECT_FALSE(size.is_estimate);
  const std::vector<std::int64_t> expected{1020, 2020, 3020, 4020, 0, 6020};
  EXPECT_EQ(size.bytes_by_z, expected);
  EXPECT_EQ(size.bytes, std::accumulate(expected.begin(), expected.end(), std::int64_t{0}));
}

TEST(StoredSize, is_estimated_from_objects_that_are_spread_evenly) {
  const auto store = std::make_shared<storage::MemoryStore>();
  const zarr::Array array = make_array(store);
  const StoredSize all = stored_size(array, 1000, 3);
  const StoredSize some = stored_size(array, 12, 3);
  EXPECT_TRUE(some.is_estimate);
  EXPECT_EQ(some.objects, 60);
  EXPECT_NEAR(static_cast<double>(some.bytes), static_cast<double>(all.bytes), 0.02 * static_cast<double>(all.bytes));
}

TEST(StoredSize, of_shards_counts_shards) {
  const auto store = std::make_shared<storage::MemoryStore>();
  zarr::ArrayMetadata metadata;
  metadata.zarr_format = 3;
  metadata.shape = {8, 8, 8};
  metadata.chunk_shape = {2, 2, 2};
  metadata.shard_shape = {4, 8, 8};
  const zarr::Array array = zarr::Array::create(store, "a", metadata);
  store->put(array.chunk_object_key({3, 0, 0}), std::vector<std::byte>(700));
  const StoredSize size = stored_size(array, 1000, 1);
  EXPECT_EQ(size.objects, 2);
  EXPECT_EQ(size.bytes_by_z, (std::vector<std::int64_t>{0, 700}));
}

}  // namespace
}  // namespace flatfield::pipeline
