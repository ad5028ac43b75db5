#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::methods {

/// Which planes of the estimation level show background only (algorithms.md 1.1-1.4).
struct BackgroundPlanes {
  std::vector<std::int64_t> initial;  ///< planes of low standard deviation, ascending
  std::vector<std::int64_t> planes;   ///< those that were kept (or all of `initial`), ascending
  int rounds = 0;                     ///< rejection rounds that were run
  bool all_rejected = false;          ///< every initial plane was rejected, so `initial` is used
};

/// Selects planes of a smoothed volume (z, y, x), z >= 1: the 5 % of lowest population standard
/// deviation, less those in which more than 1 % of the voxels lie 3 deviations above the median.
[[nodiscard]] BackgroundPlanes select_background_planes(BlockView<const float> smoothed,
                                                        const ParallelFor& parallel_for);

/// Where the planes of a level lie along z, in micrometers: plane i covers
/// [translation + i * scale, translation + (i + 1) * scale).
struct PlanePositions {
  double scale = 1.0;
  double translation = 0.0;
};

/// The planes of the target level that the given planes of the estimation level cover, ascending, without
/// duplicates, clamped to [0, target_count) (algorithms.md 1.5).
[[nodiscard]] std::vector<std::int64_t> map_planes(const std::vector<std::int64_t>& planes,
                                                   const PlanePositions& estimation,
                                                   const PlanePositions& target,
                                                   std::int64_t target_count);

/// v = max(raw - background, 0) in float32 (algorithms.md 1.8), in place on a volume of raw values;
/// `background` is (1, y, x).
void subtract_background(BlockView<float> volume, BlockView<const float> background,
                         const ParallelFor& parallel_for);

}  // namespace flatfield::methods
