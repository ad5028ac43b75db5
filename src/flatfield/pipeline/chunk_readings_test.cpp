#include "flatfield/pipeline/chunk_readings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>

#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/item_geometry.h"
#include "support/counting_store.h"

namespace flatfield::pipeline {
namespace {

zarr::ArrayMetadata metadata_of(const Extent3& shape, const Extent3& chunk) {
  zarr::ArrayMetadata metadata;
  metadata.shape = {shape.z, shape.y, shape.x};
  metadata.chunk_shape = {chunk.z, chunk.y, chunk.x};
  return metadata;
}

/// Reads a volume cell by cell, with memory of its own for each part; the readings of chunks.
std::int64_t counted_readings(const zarr::ArrayMetadata& metadata, const Extent3& cell, bool by_parts) {
  const auto store = std::make_shared<CountingStore>();
  const ome::Volume volume(zarr::Array::create(store, "a", metadata), {});
  store->gets = 0;
  const Extent3 part = by_parts ? Extent3{2, 2, 2} : Extent3{1, 1, 1};
  const Extent3 parts = ceil_div(volume.shape(), cell * part);
  for (std::int64_t i = 0; i < parts.volume(); ++i) {
    zarr::ChunkScratch scratch;
    for (const Extent3& place : morton_order(part)) {
      const Box3 box = tile_box(unravel(i, parts) * part + place, cell, volume.shape());
      if (box.empty()) continue;
      Block<std::uint16_t> wide(box.shape + Extent3{0, 1, 1});  // no chunk is decoded to where it goes
      volume.read<std::uint16_t>(box, wide.view().sub({{0, 0, 0}, box.shape}), scratch);
    }
  }
  return store->gets;
}

TEST(ChunkReadings, are_those_that_are_made) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto up_to = [&](std::int64_t n) { return 1 + static_cast<std::int64_t>(random()) % n; };
    const Extent3 chunk{1 + up_to(7), up_to(8), up_to(8)};
    const zarr::ArrayMetadata metadata = metadata_of({up_to(20), up_to(20), up_to(20)}, chunk);
    Extent3 cell{2 * up_to(4), 2 * up_to(4), 2 * up_to(4)};
    if (seed % 3 == 0) cell = map_axes(chunk, [](std::int64_t n) { return (n + 1) / 2; });
    for (const bool by_parts : {false, true}) {
      const double readings = readings_per_chunk(metadata, cell, by_parts);
      const auto chunks = static_cast<double>(zarr::chunk_count(metadata));
      EXPECT_EQ(std::llround(readings * chunks), counted_readings(metadata, cell, by_parts))
          << "seed " << seed << ", by parts " << by_parts;
    }
  }
}

TEST(ChunkReadings, of_cells_with_a_halo_are_those_of_the_chunks_that_it_touches) {
  const auto readings = [](const Extent3& shape, const Extent3& halo) {
    return readings_per_chunk(metadata_of(shape, {4, 4, 4}), {4, 4, 4}, false, halo);
  };
  EXPECT_EQ(readings({8, 8, 8}, {0, 0, 0}), 1.0);
  EXPECT_EQ(readings({8, 8, 8}, {1, 1, 1}), 8.0);        // each cell touches all chunks
  EXPECT_EQ(readings({12, 4, 4}, {4, 0, 0}), 7.0 / 3.0);  // two, three and two
  EXPECT_EQ(readings({12, 4, 4}, {5, 9, 9}), 3.0);
}

TEST(ChunkReadings, of_volumes_that_share_a_chunk_are_one_each) {
  zarr::ArrayMetadata metadata = metadata_of({8, 8, 8}, {4, 4, 4});
  EXPECT_EQ(volumes_per_chunk(metadata), 1.0);
  metadata.shape.insert(metadata.shape.begin(), {2, 5});
  metadata.chunk_shape.insert(metadata.chunk_shape.begin(), {1, 3});
  EXPECT_EQ(volumes_per_chunk(metadata), 2.5);
  EXPECT_EQ(readings_per_chunk(metadata, {4, 4, 4}, false), 2.5);
  metadata.shape[1] = 0;
  EXPECT_EQ(volumes_per_chunk(metadata), 0.0);
}

TEST(ChunkReadings, are_one_where_a_part_is_within_a_chunk_or_a_cell_is_whole_chunks) {
  const zarr::ArrayMetadata metadata = metadata_of({40, 33, 64}, {16, 16, 16});
  EXPECT_EQ(readings_per_chunk(metadata, {8, 8, 8}, true), 1.0);
  EXPECT_EQ(readings_per_chunk(metadata, {16, 32, 48}, true), 1.0);
  EXPECT_EQ(readings_per_chunk(metadata, {16, 32, 48}, false), 1.0);
}

TEST(ChunkReadings, count_each_of_the_volumes_that_share_a_chunk) {
  zarr::ArrayMetadata metadata = metadata_of({32, 32, 32}, {16, 16, 16});
  metadata.shape.insert(metadata.shape.begin(), 4);
  metadata.chunk_shape.insert(metadata.chunk_shape.begin(), 2);
  EXPECT_EQ(readings_per_chunk(metadata, {8, 8, 8}, true), 2.0);
  EXPECT_EQ(readings_per_chunk(metadata, {8, 8, 8}, false), 16.0);
}

}  // namespace
}  // namespace flatfield::pipeline
