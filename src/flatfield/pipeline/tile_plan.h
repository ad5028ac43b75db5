#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/execution/memory_budget.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/run_context.h"

namespace flatfield::pipeline {

/// What one stage of the work on a tile moves, and how long it takes.
struct StagePlan {
  std::string name;
  std::int64_t objects_read = 0;
  std::int64_t bytes_read = 0;
  std::int64_t objects_written = 0;
  std::int64_t requests_read = 0;     ///< where the input is on a server
  std::int64_t requests_written = 0;  ///< where the output is on a server
  // Only where something was measured (TilePlan::is_probed).
  std::int64_t bytes_written = 0;
  double cpu_seconds = 0.0;
  double wall_seconds = 0.0;
};

/// One image that is written.
struct PlannedOutput {
  std::string location;
  OutputPlan plan;
  std::int64_t objects = 0;
};

/// What the correction of a tile will do.
struct TilePlan {
  std::string tile;
  bool is_finished = false;  ///< the output is finished already: nothing will be done, and nothing else is said here
  /// Items that are done of an unfinished output, with which a run goes on; what they take is not taken off. None where it
  /// begins afresh. Looked for with PlanEffort::kProbe.
  std::optional<std::int64_t> items_done;
  bool is_probed = false;  ///< a sample was corrected, so bytes written, CPU and wall time are known
  int workers = 1;
  std::vector<StagePlan> stages;
  std::vector<PlannedOutput> outputs;
  std::int64_t level_0_bytes = 0;     ///< stored bytes of the level that is corrected
  bool sizes_are_estimates = false;   ///< from the sizes of some objects
  std::int64_t background_bytes = 0;  ///< of level 0 that the background image is made from
  bool background_is_known = false;   ///< false: it is the most that it can be
  std::vector<execution::StageNeeds> memory;  ///< what is expected to be held
  std::int64_t memory_limit_bytes = 0;
  std::int64_t smallest_limit_bytes = 0;

  /// Whether bytes written, CPU and wall time are known.
  [[nodiscard]] bool knows_cost() const { return is_probed || is_finished; }
  [[nodiscard]] StagePlan total() const;
  [[nodiscard]] std::int64_t peak_bytes() const;
};

/// How much a plan may do to know more.
enum class PlanEffort : std::uint8_t {
  kProbe,         ///< look at the places of the outputs, learn from a small level, and correct a sample of the tile
  kProbeIfLarge,  ///< the same where it is no more than a hundredth of the work, else only look at metadata and sizes
};

/// Plans the correction of a tile. Nothing of the output is touched; with a probe, a sample is written beside it and
/// removed again. The masks of `context` are used, and are of no use to a run afterwards. Throws Error as a run would: kMemory
/// with the smallest limit that works, with kProbe also kOutputExists.
[[nodiscard]] TilePlan plan_tile(RunContext& context, const std::string& tile_location, PlanEffort effort);

}  // namespace flatfield::pipeline
