#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/ome/volume.h"
#include "flatfield/zarr/array.h"

namespace flatfield::pipeline {

/// Throws Error(kUnsupported), naming the array, for elements that are neither uint8 nor uint16.
[[noreturn]] void refuse_data_type(const zarr::Array& array);

/// To be called where a chunk is not there, which is then one of the fill value, unless the whole tile was moved away, or its
/// disk: throws Error(kReadFailed) with this remedy where the level is not there either.
void require_level(const zarr::Array& level, std::string_view remedy);

/// Reads a box of a uint8 or uint16 volume as float32; chunks in parallel.
[[nodiscard]] Block<float> read_box_as_float(const ome::Volume& volume, const Box3& box,
                                             const ParallelFor& parallel_for);

/// Reads a box of a volume of this data type (uint8, uint16) into `into`, chunk by chunk, by all workers, each with a
/// scratch of its own. Planes of the volume for which `sees` (empty = 1 for all) is 0, and parts of chunks that `wants`
/// (empty = all) does not want, are left as they are.
template <class T>
void read_level(const ome::Volume& volume, const Box3& box, BlockView<T> into, execution::ThreadPool& pool,
                std::vector<zarr::ChunkScratch>& scratches, std::span<const std::uint8_t> sees = {},
                const std::function<bool(const Box3&)>& wants = {});

}  // namespace flatfield::pipeline
