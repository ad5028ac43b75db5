#include "flatfield/pipeline/level_reader.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/core/interruption.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

/// Bytes of voxels that a worker reads at once.
constexpr std::int64_t kMostBytesAtOnce = std::int64_t{16} << 20;

/// Chunks along each axis that are read at once: one, or as many of one shard as are not too much.
Extent3 chunks_at_once(const ome::Volume& volume) {
  const zarr::ArrayMetadata& metadata = volume.array().metadata();
  Extent3 group{1, 1, 1};
  if (!metadata.is_sharded()) return group;
  const zarr::Shape per_shard = metadata.chunks_per_object();
  const auto chunk_bytes = static_cast<std::int64_t>(metadata.chunk_bytes());
  for (int axis = 2; axis >= 0; --axis) {
    const std::int64_t most = kMostBytesAtOnce / (chunk_bytes * group.volume());
    const std::int64_t count = per_shard[per_shard.size() - 3 + static_cast<std::size_t>(axis)];
    // A divisor, so that no group is in two shards.
    for (std::int64_t n = std::min(most, count); n > 1 && group[axis] == 1; --n)
      if (count % n == 0) group[axis] = n;
    if (group[axis] != count) break;
  }
  return group;
}

template <class T>
Block<float> read_typed(const ome::Volume& volume, const Box3& region, const ParallelFor& parallel_for) {
  Block<float> out(region.shape);
  // By whole chunks, so that each is decoded once.
  const Extent3 piece = volume.chunk_shape() * chunks_at_once(volume);
  const Extent3 first_piece = floor_div(region.origin, piece);
  const Extent3 grid = ceil_div(region.end(), piece) - first_piece;
  parallel_for(grid.volume(), [&](std::int64_t i) {
    const Box3 box =
        intersect(region, tile_box(first_piece + unravel(i, grid), piece, volume.shape()));
    zarr::ChunkScratch scratch;
    volume.expect(box, scratch);
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
  refuse_data_type(volume.array());
}

}  // namespace

void refuse_data_type(const zarr::Array& array) {
  throw Error(ErrorCode::kUnsupported,
              "the data type " + std::string(name_of(array.metadata().dtype)) + " cannot be corrected",
              array.describe(), "convert the tile to uint8 or uint16");
}

void require_level(const zarr::Array& level, std::string_view remedy) {
  if (!zarr::find_node(*level.shared_store(), level.path()))
    throw Error(ErrorCode::kReadFailed, "the tile vanished while it was read", level.describe(), remedy);
}

template <class T>
void read_level(const ome::Volume& volume, const Box3& box, BlockView<T> into, execution::ThreadPool& pool,
                std::vector<zarr::ChunkScratch>& scratches, std::span<const std::uint8_t> sees,
                const std::function<bool(const Box3&)>& wants) {
  if (box.empty()) return;
  const Extent3& chunk = volume.chunk_shape();
  const Extent3 first = floor_div(box.origin, chunk);
  const Extent3 grid = ceil_div(box.end(), chunk) - first;
  const auto read_chunk = [&](const Extent3& index, zarr::ChunkScratch& scratch, Block<T>& planes) {
    const Box3 whole = tile_box(index, chunk, volume.shape());
    const Box3 part = intersect(whole, box);
    const std::span<const std::uint8_t> seen =
        sees.empty() ? sees : sees.subspan(static_cast<std::size_t>(part.origin.z), static_cast<std::size_t>(part.shape.z));
    const std::int64_t count = sees.empty() ? whole.shape.z : std::count(seen.begin(), seen.end(), std::uint8_t{1});
    if (count == 0 || (wants && !wants(part))) return;
    const BlockView<T> target = into.sub({part.origin - box.origin, part.shape});
    if (count == whole.shape.z) {
      volume.read<T>(part, target, scratch);
      return;
    }
    // Of a chunk that is not needed as a whole only some planes are decoded.
    if (planes.shape().z < count) planes = Block<T>({count, chunk.y, chunk.x});
    std::vector<ome::Volume::PlanePart<T>> parts;
    for (std::int64_t z = 0; z < part.shape.z; ++z)
      if (seen[static_cast<std::size_t>(z)] != 0)
        parts.push_back({part.origin.z - index.z * chunk.z + z, 0,
                         planes.plane(static_cast<std::int64_t>(parts.size())).span()});
    volume.read_plane_parts<T>(index, parts, scratch);
    const Extent3 row{1, part.shape.y, part.shape.x};
    for (std::size_t k = 0; k < parts.size(); ++k) {
      const std::int64_t z = parts[k].plane + index.z * chunk.z - part.origin.z;
      copy_block<T>(planes.view().sub({{static_cast<std::int64_t>(k), part.origin.y - index.y * chunk.y,
                                        part.origin.x - index.x * chunk.x}, row}),
                    target.sub({{z, 0, 0}, row}));
    }
  };
  std::atomic<std::int64_t> next{0};
  pool.run_on_all([&](int worker) {
    Block<T> planes;
    try {
      for (std::int64_t i = next++; i < grid.volume(); i = next++) {
        stop_if_interrupted();
        read_chunk(first + unravel(i, grid), scratches[static_cast<std::size_t>(worker)], planes);
      }
    } catch (...) {
      next = grid.volume();
      throw;
    }
  });
}

template void read_level(const ome::Volume&, const Box3&, BlockView<std::uint8_t>, execution::ThreadPool&,
                         std::vector<zarr::ChunkScratch>&, std::span<const std::uint8_t>,
                         const std::function<bool(const Box3&)>&);
template void read_level(const ome::Volume&, const Box3&, BlockView<std::uint16_t>, execution::ThreadPool&,
                         std::vector<zarr::ChunkScratch>&, std::span<const std::uint8_t>,
                         const std::function<bool(const Box3&)>&);

Block<float> read_box_as_float(const ome::Volume& volume, const Box3& box,
                               const ParallelFor& parallel_for) {
  return with_type(volume,
                   [&](auto type) { return read_typed<decltype(type)>(volume, box, parallel_for); });
}

}  // namespace flatfield::pipeline
