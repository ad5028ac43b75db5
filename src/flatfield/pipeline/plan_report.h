#pragma once

#include <string>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/tile_plan.h"

namespace flatfield::pipeline {

/// A plan for people: several lines, the last with its end of line.
[[nodiscard]] std::string plan_text(const TilePlan& plan);
/// A plan for programs. What is not known is null, and so is `items_done` where a run begins afresh.
[[nodiscard]] Json plan_json(const TilePlan& plan);

/// What a tile took, for comparison with its plan.
struct ActualCost {
  std::int64_t bytes_read = 0;
  std::int64_t bytes_written = 0;
  std::int64_t peak_bytes = 0;  ///< of the process, since it began
  double cpu_seconds = 0.0;
  double wall_seconds = 0.0;
};

/// "planned" and "actual" numbers side by side, for the run report.
[[nodiscard]] Json comparison_json(const TilePlan& plan, const ActualCost& actual);
/// The same in one line for people, e.g. "planned 2.10 GB read, ...; it was 2.08 GB, ...".
[[nodiscard]] std::string comparison_text(const TilePlan& plan, const ActualCost& actual);

}  // namespace flatfield::pipeline
