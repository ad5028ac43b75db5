#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/execution/memory_budget.h"
#include "flatfield/pipeline/estimation_level.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {

/// The frames that BaSiC is fitted to, as z indices of the estimation level, ascending: without a mask all planes,
/// or `max_frames` of them evenly spaced; with one (of the level's shape) the 100 of largest mask area, of equal area
/// the lower ones.
[[nodiscard]] std::vector<std::int64_t> evenly_spaced_planes(std::int64_t planes, std::int64_t max_frames);
[[nodiscard]] std::vector<std::int64_t> planes_of_largest_mask(BitView mask);

/// Some planes (ascending) of a level, one after the other.
[[nodiscard]] Block<float> gather_planes(methods::LevelStream& level, const std::vector<std::int64_t>& planes);
/// The same of a mask, as 0 and 1.
[[nodiscard]] Block<float> gather_planes(BitView mask, const std::vector<std::int64_t>& planes);

/// Pixels that nothing can be divided by: 0, negative, or NaN.
[[nodiscard]] std::int64_t count_not_positive(const Block<float>& plane);

/// What a fit holds at most: its frames at the size of the level, and the stacks that it works on.
[[nodiscard]] std::int64_t basic_fit_bytes(const Extent3& level, const config::BasicConfig& options, bool masked);

/// The mask that BaSiC was weighted by, without what is 0 in the background-subtracted level. The correction does not need
/// it; quality is measured inside of it. All processes have it.
struct BasicMask {
  std::optional<BitVolume> bits;  ///< of the estimation level; none where the tile has none with anything in it
  execution::MemoryBudget::Reservation held;
};

/// The method basicpy on one volume (docs/methods.md 3), from its background-subtracted estimation level. Leaves
/// `learned` with background subtraction only, and says why, where BaSiC finds no usable flatfield.
[[nodiscard]] BasicMask learn_basic(const VolumeRequest& request, EstimationLevel& level, RunContext& context,
                                    Learned& learned);

}  // namespace flatfield::pipeline
