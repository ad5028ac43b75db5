#pragma once

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/ome/volume.h"

namespace flatfield::pipeline {

/// Reads a box of a uint8 or uint16 volume as float32; chunks in parallel.
[[nodiscard]] Block<float> read_box_as_float(const ome::Volume& volume, const Box3& box,
                                             const ParallelFor& parallel_for);

}  // namespace flatfield::pipeline
