#include "flatfield/pipeline/level_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::pipeline {
namespace {

/// A chunked volume with random voxels.
template <class T>
struct Stored {
  Stored(const Extent3& shape, const Extent3& chunk, unsigned seed) : voxels(shape) {
    std::mt19937 random(seed);
    for (T& v : voxels.span()) v = static_cast<T>(random());
    zarr::ArrayMetadata metadata;
    metadata.shape = {shape.z, shape.y, shape.x};
    metadata.chunk_shape = {chunk.z, chunk.y, chunk.x};
    metadata.dtype = DTypeOf<T>::value;
    metadata.codecs.compressors = {zarr::Compressor{"blosc", 1}};
    const zarr::Array array = zarr::Array::create(store, "a", metadata);
    zarr::ChunkScratch scratch;
    const Extent3 grid = ceil_div(shape, chunk);
    for (std::int64_t i = 0; i < grid.volume(); ++i) {
      const Extent3 index = unravel(i, grid);
      const Box3 box = tile_box(index, chunk, shape);
      Block<T> whole(chunk, T{0});
      copy_block<T>(voxels.view().sub(box), whole.view().sub({{0, 0, 0}, box.shape}));
      array.write_chunk({index.z, index.y, index.x}, std::as_bytes(whole.span()), scratch);
    }
  }
  [[nodiscard]] ome::Volume volume() const { return {zarr::Array::open(store, "a"), {}}; }

  std::shared_ptr<storage::Store> store = std::make_shared<storage::MemoryStore>();
  Block<T> voxels;
};

template <class T>
class LevelReader : public testing::Test {};
using VoxelTypes = testing::Types<std::uint8_t, std::uint16_t>;
TYPED_TEST_SUITE(LevelReader, VoxelTypes);

TYPED_TEST(LevelReader, reads_the_whole_volume_as_float) {
  const Stored<TypeParam> stored({11, 9, 7}, {4, 5, 3}, 1);
  execution::ThreadPool pool(2);
  const Block<float> found = read_as_float(stored.volume(), pool.as_parallel_for());
  ASSERT_EQ(found.shape(), stored.voxels.shape());
  EXPECT_TRUE(std::ranges::equal(found.span(), stored.voxels.span(),
                                 [](float a, TypeParam b) { return a == static_cast<float>(b); }));
}

TEST(LevelReaderTypes, other_than_uint8_and_uint16_are_refused) {
  Stored<float> stored({2, 2, 2}, {2, 2, 2}, 1);
  try {
    (void)read_as_float(stored.volume(), serial_for);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace flatfield::pipeline
