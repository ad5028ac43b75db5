#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/methods/basic.h"
#include "flatfield/methods/basic_cost.h"

namespace flatfield::methods {

struct BasicAutotuneOptions {
  BasicCostOptions cost;
  std::int64_t max_evaluations = 100;  ///< >= 1, of the search with a darkfield
  std::uint64_t seed = 0;              ///< of that search
};

/// One candidate; the cost is infinite if its flatfield is zero or one everywhere.
struct BasicCandidate {
  BasicSmoothness smoothness;
  BasicCost cost;
};

struct BasicAutotune {
  BasicSmoothness best;                    ///< the first candidate of smallest cost
  std::vector<BasicCandidate> candidates;  ///< in the order of their evaluation
};

/// Chooses the smoothness by the cost of the frames that a fit with it corrects (docs/methods.md
/// 8.7). Without a darkfield all 15 values of the grid 10^(-3 + 4 i / 14) are evaluated. With one
/// there are 15 x 16 x 16 (zero is added for smoothness and sparse cost of the darkfield): a random
/// sample of the seed, then steps along the axes from its best, of 4, 2 and 1 grid points, while
/// they help.
///
/// The frames are planes. `weights` as in fit_basic. Throws Error(kBadInput) if no candidate gives
/// a flatfield, and what fit_basic throws.
[[nodiscard]] BasicAutotune autotune_basic(const FrameStack& images,
                                           const std::optional<FrameStack>& weights,
                                           const BasicOptions& options,
                                           const BasicAutotuneOptions& autotune,
                                           const ParallelFor& parallel_for);

}  // namespace flatfield::methods
