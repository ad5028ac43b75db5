#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/methods/level_stream.h"

namespace flatfield::methods {

/// Which planes of the estimation level show background only (docs/methods.md 1, steps 1 to 4).
struct BackgroundPlanes {
  std::vector<std::int64_t> initial;  ///< planes of low standard deviation, ascending
  std::vector<std::int64_t> planes;   ///< those that were kept (or all of `initial`), ascending
  int rounds = 0;                     ///< rejection rounds that were run
  bool all_rejected = false;          ///< every initial plane was rejected, so `initial` is used
};

/// Selects planes of a level (z, y, x) smoothed with a Gaussian: the 5 % of lowest population
/// standard deviation, less those in which more than 1 % of the voxels lie 3 deviations above the median.
/// Deviations are those of ExactMoments, so values are counts from 0 to 65535; everything else is exact: the same planes for
/// any stream.
///
/// Two passes: one over the level, one over the 5 %. Of a level of 2048 rows or more the first sees only a sample of the
/// rows, and is followed by passes over the other rows of a few planes (lowest_deviations). Where the bins of the
/// last, which may hold about `bytes`, leave open whether a plane is dropped, some more over these planes.
/// Throws Error(kBadInput) for a level without voxels.
[[nodiscard]] BackgroundPlanes select_background_planes(LevelStream& level, double sigma_voxels,
                                                        std::int64_t bytes);

/// Where the planes of a level lie along z, in micrometers: plane i covers
/// [translation + i * scale, translation + (i + 1) * scale).
struct PlanePositions {
  double scale = 1.0;
  double translation = 0.0;
};

/// The planes of the target level that the given planes of the estimation level cover, ascending, without
/// duplicates, clamped to [0, target_count) (docs/methods.md 1, step 5).
[[nodiscard]] std::vector<std::int64_t> map_planes(const std::vector<std::int64_t>& planes,
                                                   const PlanePositions& estimation,
                                                   const PlanePositions& target,
                                                   std::int64_t target_count);

/// v = max(v - background, 0) in float32 (docs/methods.md 1, step 8) of the voxels of a box of a level, in place; `background`
/// is (1, y, x) of the level.
void subtract_background(BlockView<float> values, const Box3& box, BlockView<const float> background);
/// The same as a change of the level; none = nothing is subtracted.
[[nodiscard]] LevelChange subtraction_of(const std::optional<BlockView<const float>>& background);

}  // namespace flatfield::methods
