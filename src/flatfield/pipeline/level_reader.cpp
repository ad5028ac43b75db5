#include "flatfield/pipeline/level_reader.h"

#include <algorithm>

#include "flatfield/core/error.h"

namespace flatfield::pipeline {
namespace {

template <class T>
Block<float> read_typed(const ome::Volume& volume, const Box3& region, const ParallelFor& parallel_for) {
  Block<float> out(region.shape);
  // Chunk by chunk, so that each is decoded once.
  const Extent3 first_chunk = floor_div(region.origin, volume.chunk_shape());
  const Extent3 grid = ceil_div(region.end(), volume.chunk_shape()) - first_chunk;
  parallel_for(grid.volume(), [&](std::int64_t i) {
    const Box3 box = intersect(
        region, tile_box(first_chunk + unravel(i, grid), volume.chunk_shape(), volume.shape()));
    zarr::ChunkScratch scratch;
    Block<T> voxels(box.shape);
    volume.read<T>(box, voxels.view(), scratch);
    const BlockView<float> target = out.view().sub({box.origin - region.origin, box.shape});
    for (std::int64_t z = 0; z < box.shape.z; ++z)
      for (std::int64_t y = 0; y < box.shape.y; ++y)
        std::copy_n(voxels.view().row(z, y), box.shape.x, target.row(z, y));
  });
  return out;
}

/// Calls `f` with a value of the volume's element type.
template <class F>
Block<float> with_type(const ome::Volume& volume, F f) {
  if (volume.dtype() == DType::kUint16) return f(std::uint16_t{});
  if (volume.dtype() == DType::kUint8) return f(std::uint8_t{});
  throw Error(ErrorCode::kUnsupported,
              "the data type " + std::string(name_of(volume.dtype())) + " cannot be corrected",
              volume.array().describe(), "convert the tile to uint8 or uint16");
}

}  // namespace

Block<float> read_as_float(const ome::Volume& volume, const ParallelFor& parallel_for) {
  return read_box_as_float(volume, {{0, 0, 0}, volume.shape()}, parallel_for);
}

Block<float> read_box_as_float(const ome::Volume& volume, const Box3& box,
                               const ParallelFor& parallel_for) {
  return with_type(volume,
                   [&](auto type) { return read_typed<decltype(type)>(volume, box, parallel_for); });
}

}  // namespace flatfield::pipeline
