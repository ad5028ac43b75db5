#pragma once

#include <cstdint>
#include <optional>

#include "flatfield/core/extent.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::pipeline {

/// A level that is to be streamed, and what its visitors need.
struct StreamRequest {
  Extent3 shape;        ///< of the level
  Extent3 chunk;        ///< of its array
  std::int64_t voxel_bytes = 2;
  Extent3 halo;         ///< voxels that visitors see around a box
  int volumes = 1;      ///< float32 volumes of each visited box that are held
  int workers = 1;
  std::int64_t reading_bytes = 0;  ///< of each worker: chunk_reading_bytes
};

/// What a worker holds to read chunks of an array: one as it is stored, and decoded with all its time points and channels.
[[nodiscard]] std::int64_t chunk_reading_bytes(const zarr::ArrayMetadata& metadata);

/// How a level is read in bands of rows, each band in slabs of planes: the rows and planes that the next
/// ones need too are kept, so that a chunk is decoded once where a band is not smaller than it.
struct StreamGeometry {
  std::int64_t band = 0;  ///< rows along y that are read at once
  std::int64_t slab = 0;  ///< planes
  Extent3 tile;           ///< largest box of a visit; along x a multiple of 64
  std::int64_t bytes = 0;  ///< held in all
};

/// The cheapest geometry that needs at most `bytes`; none if there is none.
[[nodiscard]] std::optional<StreamGeometry> choose_geometry(const StreamRequest& request, std::int64_t bytes);

/// What choose_geometry needs at least.
[[nodiscard]] std::int64_t least_stream_bytes(const StreamRequest& request);

/// With which it can decode each chunk once and visit boxes of some size.
[[nodiscard]] std::int64_t thrifty_stream_bytes(const StreamRequest& request);

/// Memory of the visitors of a level that is in memory itself.
[[nodiscard]] std::optional<StreamGeometry> resident_geometry(const StreamRequest& request,
                                                              std::int64_t bytes);

}  // namespace flatfield::pipeline
