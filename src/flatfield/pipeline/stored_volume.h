#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <utility>

#include "flatfield/core/block.h"
#include "flatfield/ome/volume.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::pipeline {

/// A chunked volume with random voxels, for tests.
template <class T>
struct Stored {
  Stored(const Extent3& shape, const Extent3& chunk, unsigned seed,
         std::shared_ptr<storage::Store> into = std::make_shared<storage::MemoryStore>())
      : store(std::move(into)), voxels(shape) {
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

  std::shared_ptr<storage::Store> store;
  Block<T> voxels;
};

}  // namespace flatfield::pipeline
