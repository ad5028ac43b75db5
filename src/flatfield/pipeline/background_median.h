#pragma once

#include <cstdint>
#include <span>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/execution/process_group.h"
#include "flatfield/ome/volume.h"

namespace flatfield::pipeline {

/// How the median over some planes of a volume is worked out in the memory that there is, and what it costs: known
/// before anything is read.
struct MedianPlan {
  std::int64_t chunks = 0;  ///< that hold such a plane
  double share = 0;         ///< of all chunks of the volume
  /// How often one of them is read: `chunks`, unless there is less memory than single_read_bytes.
  std::int64_t chunk_reads = 0;

  std::int64_t least_bytes = 0;        ///< of memory, without which it cannot be done
  std::int64_t single_read_bytes = 0;  ///< of memory, with which each chunk is read once
  std::int64_t bytes = 0;              ///< of memory that it will hold, beside the image

  std::int64_t columns_at_once = 1;  ///< chunks side by side whose planes are in memory together
  std::int64_t strip_pixels = 0;     ///< of a column that are worked on together; all, where memory allows it
};

/// Plans for `planes` (ascending, at least one) and `workers` threads in at most `budget_bytes`; where that is less
/// than least_bytes, `bytes` is least_bytes.
[[nodiscard]] MedianPlan plan_median(const ome::Volume& volume, std::span<const std::int64_t> planes, int workers,
                                     std::int64_t budget_bytes);

/// What plan_median needs at least for whatever planes of an array are chosen: all, where all are alike. `is_remote`: its
/// chunks come from a server. `stored_share` as in zarr::decoder_bytes.
[[nodiscard]] std::int64_t least_median_bytes(const zarr::ArrayMetadata& metadata, int workers, bool is_remote,
                                              double stored_share = 1.0);

/// The background image: per-pixel median over these planes of a uint8 or uint16 volume, as a (1, y, x) block. Of each
/// chunk only what holds these planes is decoded, where its codec allows that. The same bits for every plan and number
/// of workers and processes, which share the work. Throws Error(kUnsupported) for another data type, and what reading
/// throws.
[[nodiscard]] Block<float> median_of_planes(const ome::Volume& volume, std::span<const std::int64_t> planes,
                                            const MedianPlan& plan, const ParallelFor& parallel_for,
                                            execution::ProcessGroup& processes);

}  // namespace flatfield::pipeline
