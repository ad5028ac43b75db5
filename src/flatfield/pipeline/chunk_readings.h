#pragma once

#include <cstdint>

#include "flatfield/core/extent.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::pipeline {

/// How often each chunk of an array is read where its volumes are read cell by cell, on average: once where a cell is
/// whole chunks, more where it cuts them. With `by_parts` a worker reads the 2 x 2 x 2 cells of a part in C order and
/// keeps the last chunk, so that a part within one chunk reads it once. What a worker keeps from one part to the next,
/// which depends on who does it, is not counted on. With a `halo` (voxels) each cell is read with as much around it, by itself.
[[nodiscard]] double readings_per_chunk(const zarr::ArrayMetadata& array, const Extent3& cell, bool by_parts,
                                        const Extent3& halo = {});

/// Chunks that a box of a grid of boxes touches at most; `box` and `chunk` in voxels.
[[nodiscard]] std::int64_t most_chunks_in(const Extent3& box, const Extent3& chunk);

/// Volumes that share a chunk of an array, on average; 0 for an array without any.
[[nodiscard]] double volumes_per_chunk(const zarr::ArrayMetadata& array);

}  // namespace flatfield::pipeline
