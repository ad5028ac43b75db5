#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flatfield/core/extent.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::pipeline {

/// Planes of a cell of the finest level, of so many bytes each, that are finished and reduced at once: what a core's own
/// cache holds beside a plane of the background. An even number: whole windows.
[[nodiscard]] std::int64_t slab_planes(std::int64_t plane_bytes);

/// What determines the memory that an open item holds.
struct ItemShape {
  int levels = 1;          ///< of its pass
  bool has_carry = false;  ///< there are levels after the pass
  bool is_sharded = false;
  int workers = 1;
  std::int64_t itemsize = 1;  ///< bytes of a voxel
  std::int64_t parts = 1;
};

/// Of the array of carries (z, y, x) beside `level`; its shape is yet to be said.
[[nodiscard]] zarr::ArrayMetadata carry_metadata(const zarr::ArrayMetadata& level, const ItemGeometry& geometry);
/// Chunks of an item's carry that its parts may be filling at the same time; 0 if the carry is not made of parts.
[[nodiscard]] std::int64_t open_carry_chunks(const ItemGeometry& geometry, const ItemShape& item);
/// Chunks of the parts that other workers are ahead by; with one worker none comes too early.
[[nodiscard]] std::int64_t reorder_bytes(const ItemGeometry& geometry, const ItemShape& item);
/// Bytes of an item from its opening to its closing, scratch of the workers not included.
[[nodiscard]] std::int64_t item_bytes(const ItemGeometry& geometry, const ItemShape& item);

/// What a pass of a pyramid holds.
struct PassMemory {
  std::int64_t worker_bytes = 0;  ///< of each worker, what its source of voxels holds not included
  std::int64_t source_bytes = 0;  ///< of each worker, by a source that reads carries; 0 for the first pass
  std::int64_t ahead_bytes = 0;   ///< of each worker beside these, for carries that are fetched together from a server
  std::int64_t item_bytes = 0;    ///< of the largest item
  std::int64_t items = 0;
  std::int64_t open_shards = 0;   ///< objects that an item writes piece by piece
  std::int64_t finest_level = 0;
};

/// The passes in which a pyramid is written. `levels` are its arrays, finest first, of which z, y and x are the last
/// axes; `chunk_shape` and `shard_shape` as in PyramidTarget; `stored_share` as in zarr::encoder_bytes.
[[nodiscard]] std::vector<PassMemory> pyramid_memory(const std::vector<zarr::ArrayMetadata>& levels,
                                                     const Extent3& chunk_shape,
                                                     const std::optional<Extent3>& shard_shape, int workers,
                                                     double stored_share = 1.0);

/// The last three numbers of a shape.
[[nodiscard]] Extent3 spatial(const zarr::Shape& shape);

}  // namespace flatfield::pipeline
