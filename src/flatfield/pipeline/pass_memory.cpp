#include "flatfield/pipeline/pass_memory.h"

#include <algorithm>

#include "flatfield/zarr/codec_memory.h"

namespace flatfield::pipeline {
namespace {

/// Parts by which a worker may be ahead of one that is slow, before it waits: chunks that came too early are kept.
constexpr std::int64_t kMostPartsAhead = 8;
/// What is known of the chunks of a part while its shards are open: about 9 of 48 bytes.
constexpr std::int64_t kBytesPerPart = 512;

/// Bytes of the planes that are finished at once.
constexpr std::int64_t kSlabBytes = std::int64_t{256} << 10;

bool gathers_a_level(const ItemShape& item) { return item.levels - 1 == ItemGeometry::kDeepest; }

}  // namespace

std::int64_t slab_planes(std::int64_t plane_bytes) {
  return std::max<std::int64_t>(2, kSlabBytes / plane_bytes / 2 * 2);
}

zarr::ArrayMetadata carry_metadata(const zarr::ArrayMetadata& level, const ItemGeometry& geometry) {
  zarr::ArrayMetadata carry = level;
  carry.shard_shape.clear();
  carry.dimension_names.clear();
  const Extent3 chunk = geometry.carry_chunk();
  carry.chunk_shape = {chunk.z, chunk.y, chunk.x};
  return carry;
}

std::int64_t open_carry_chunks(const ItemGeometry& geometry, const ItemShape& item) {
  if (!item.has_carry || geometry.depth != ItemGeometry::kPartLevel) return 0;
  const std::int64_t all = geometry.carry_chunks().volume();
  // Parts are handed out in Morton order: those of 2 x 2 x 2 one after the other, which make one chunk, or several where a
  // chunk is half a cell along an axis. Of the chunks, or of these groups, that are begun all but the latest have a part
  // that a worker is at, and so has the latest, or one worker is between two parts.
  const std::int64_t parts = geometry.cells_of_carry_chunk().volume();
  return std::min<std::int64_t>(item.workers * (parts == 1 ? 1 : 8 / parts), all);
}

std::int64_t reorder_bytes(const ItemGeometry& geometry, const ItemShape& item) {
  return 8 * geometry.cell.volume() * item.itemsize * std::min<std::int64_t>(item.workers - 1, kMostPartsAhead);
}

std::int64_t item_bytes(const ItemGeometry& geometry, const ItemShape& item) {
  std::int64_t bytes = 0;
  if (gathers_a_level(item)) bytes += geometry.cell.volume() * item.itemsize;
  bytes += open_carry_chunks(geometry, item) * geometry.carry_chunk().volume() * item.itemsize;
  if (item.is_sharded) bytes += reorder_bytes(geometry, item) + kBytesPerPart * item.parts;
  return bytes;
}

Extent3 spatial(const zarr::Shape& shape) {
  const std::size_t n = shape.size();
  return {shape[n - 3], shape[n - 2], shape[n - 1]};
}

std::vector<PassMemory> pyramid_memory(const std::vector<zarr::ArrayMetadata>& levels, const Extent3& chunk_shape,
                                       const std::optional<Extent3>& shard_shape, int workers,
                                       double stored_share) {
  const ItemGeometry geometry(chunk_shape, shard_shape);
  const std::size_t step = geometry.levels_per_pass();
  std::vector<PassMemory> passes;
  for (std::size_t first = 0; first < levels.size(); first += step) {
    const zarr::ArrayMetadata& finest = levels[first];
    const Extent3 shape = spatial(finest.shape);
    const std::size_t last = std::min(first + step, levels.size()) - 1;
    ItemShape item;
    item.levels = static_cast<int>(last - first) + 1;
    item.has_carry = last + 1 < levels.size();
    item.is_sharded = shard_shape.has_value();
    item.workers = workers;
    item.itemsize = static_cast<std::int64_t>(size_of(finest.dtype));
    const int part_level = std::min(ItemGeometry::kPartLevel, item.levels - 1);
    const Extent3 part = geometry.cell * (std::int64_t{1} << part_level);
    item.parts = ceil_div(min(shape, geometry.item), part).volume();

    PassMemory pass;
    pass.finest_level = static_cast<std::int64_t>(first);
    const std::int64_t cell_bytes = geometry.cell.volume() * item.itemsize;
    const zarr::ArrayMetadata carry = carry_metadata(finest, geometry);
    std::int64_t encoder_bytes = zarr::encoder_bytes(finest, stored_share);
    // One after the other, in the same rooms.
    if (item.has_carry) encoder_bytes = std::max(encoder_bytes, zarr::encoder_bytes(carry, stored_share));
    pass.worker_bytes = (part_level + 1) * cell_bytes + encoder_bytes;
    if (first > 0) {
      pass.source_bytes = zarr::decoder_bytes(carry, stored_share) + static_cast<std::int64_t>(carry.chunk_bytes());
      pass.ahead_bytes = zarr::expected_bytes(carry, ceil_div(part, spatial(carry.chunk_shape)).volume(), stored_share);
    }
    // Chunks are cut from a cell, also those of levels that are smaller than one, and a carry is reduced from the last
    // level if that is what an item gathers.
    std::int64_t cut_bytes = chunk_shape != geometry.cell ? cell_bytes : 0;
    if (cut_bytes == 0)
      for (std::size_t level = first; level <= last; ++level)
        if (const Extent3 chunk = spatial(levels[level].chunk_shape); chunk != geometry.cell)
          cut_bytes += chunk.volume() * item.itemsize;
    pass.worker_bytes += cut_bytes;
    if (item.has_carry && gathers_a_level(item)) pass.worker_bytes += geometry.carry.volume() * item.itemsize;
    pass.item_bytes = item_bytes(geometry, item);
    pass.items = ceil_div(shape, geometry.item).volume();
    if (item.is_sharded)
      for (std::size_t level = first; level <= last; ++level)
        pass.open_shards += ceil_div(min(spatial(levels[level].shape), floor_div(geometry.item, std::int64_t{1} << (level - first))),
                                     spatial(levels[level].shard_shape)).volume();
    passes.push_back(pass);
  }
  return passes;
}

}  // namespace flatfield::pipeline
