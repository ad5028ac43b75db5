#pragma once

#include <cstddef>
#include <span>

#include "flatfield/zarr/array.h"

namespace flatfield::zarr {

/// Reads a box of an array of any number of axes into `into` (exactly its bytes), in C order and
/// native byte order. `origin` and `shape` are in elements and lie within the array. Throws as
/// Array::read_chunk; Error(kInternal) for a box that does not lie within the array.
void read_box(const Array& array, const Shape& origin, const Shape& shape,
              std::span<std::byte> into, ChunkScratch& scratch);

}  // namespace flatfield::zarr
