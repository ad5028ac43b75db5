#include "flatfield/pipeline/level_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/pipeline/item_shards.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::pipeline {
namespace {

/// A store that counts the ranges that are read.
class CountingStore final : public storage::MemoryStore {
 public:
  bool get_range(std::string_view key, storage::ByteRange range, Buffer& into) const override {
    ++ranges;
    return MemoryStore::get_range(key, range, into);
  }
  mutable std::atomic<int> ranges{0};
};

/// A chunked volume with random voxels; `shard` counts chunks.
template <class T>
struct Stored {
  Stored(const Extent3& shape, const Extent3& chunk, unsigned seed,
         const std::optional<Extent3>& shard = std::nullopt)
      : voxels(shape) {
    std::mt19937 random(seed);
    for (T& v : voxels.span()) v = static_cast<T>(random());
    zarr::ArrayMetadata metadata;
    metadata.shape = {shape.z, shape.y, shape.x};
    metadata.chunk_shape = {chunk.z, chunk.y, chunk.x};
    metadata.dtype = DTypeOf<T>::value;
    metadata.codecs.compressors = {zarr::Compressor{"blosc", 1}};
    if (shard) {
      metadata.zarr_format = 3;
      metadata.shard_shape = {chunk.z * shard->z, chunk.y * shard->y, chunk.x * shard->x};
    }
    const zarr::Array array = zarr::Array::create(store, "a", metadata);
    zarr::ChunkScratch scratch;
    ItemShards shards(0);
    const Extent3 grid = ceil_div(shape, chunk);
    for (std::int64_t i = 0; shard && i < grid.volume(); ++i) {
      const Extent3 index = unravel(i, grid);
      shards.announce(0, array, {index.z, index.y, index.x});
    }
    shards.open();
    for (std::int64_t i = 0; i < grid.volume(); ++i) {
      const Extent3 index = unravel(i, grid);
      const Box3 box = tile_box(index, chunk, shape);
      Block<T> whole(chunk, T{0});
      copy_block<T>(voxels.view().sub(box), whole.view().sub({{0, 0, 0}, box.shape}));
      const auto encoded = array.encode_chunk(std::as_bytes(whole.span()), scratch);
      if (shard)
        shards.put(array, {index.z, index.y, index.x}, encoded);
      else
        array.write_encoded_chunk({index.z, index.y, index.x}, encoded);
    }
    WrittenObjects written;
    shards.finish(written);
  }
  [[nodiscard]] ome::Volume volume() const { return {zarr::Array::open(store, "a"), {}}; }
  /// The whole of it.
  [[nodiscard]] Box3 box() const { return {{0, 0, 0}, voxels.shape()}; }

  std::shared_ptr<CountingStore> store = std::make_shared<CountingStore>();
  Block<T> voxels;
};

template <class T>
class LevelReader : public testing::Test {};
using VoxelTypes = testing::Types<std::uint8_t, std::uint16_t>;
TYPED_TEST_SUITE(LevelReader, VoxelTypes);

TYPED_TEST(LevelReader, reads_the_whole_volume_as_float) {
  const Stored<TypeParam> stored({11, 9, 7}, {4, 5, 3}, 1);
  execution::ThreadPool pool(2);
  const Block<float> found = read_box_as_float(stored.volume(), stored.box(), pool.as_parallel_for());
  ASSERT_EQ(found.shape(), stored.voxels.shape());
  EXPECT_TRUE(std::ranges::equal(found.span(), stored.voxels.span(),
                                 [](float a, TypeParam b) { return a == static_cast<float>(b); }));
}

TYPED_TEST(LevelReader, reads_the_chunks_of_a_shard_together) {
  const Stored<TypeParam> stored({22, 25, 26}, {4, 5, 3}, 3, Extent3{2, 3, 5});
  execution::ThreadPool pool(3);
  const Block<float> found = read_box_as_float(stored.volume(), stored.box(), pool.as_parallel_for());
  EXPECT_TRUE(std::ranges::equal(found.span(), stored.voxels.span(),
                                 [](float a, TypeParam b) { return a == static_cast<float>(b); }));
  EXPECT_EQ(stored.store->ranges, 3 * 2 * 2);  // as many as there are shards
  const Box3 box{{3, 4, 2}, {15, 14, 20}};
  const Block<float> part = read_box_as_float(stored.volume(), box, pool.as_parallel_for());
  for (std::int64_t i = 0; i < part.size(); ++i) {
    const Extent3 p = unravel(i, box.shape);
    const Extent3 q = p + box.origin;
    ASSERT_EQ(part.at(p.z, p.y, p.x), static_cast<float>(stored.voxels.at(q.z, q.y, q.x))) << to_string(q);
  }
}

TEST(LevelReaderTypes, other_than_uint8_and_uint16_are_refused) {
  Stored<float> stored({2, 2, 2}, {2, 2, 2}, 1);
  try {
    (void)read_box_as_float(stored.volume(), stored.box(), serial_for);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace flatfield::pipeline
