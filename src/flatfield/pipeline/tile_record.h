#pragma once

#include <string>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/run_context.h"

namespace flatfield::pipeline {

/// What the run report says of one tile.
struct TileRecord {
  Json report;
  int exit_code = 0;  ///< of the error that it failed with; 0 if it did not
  Json batch_entry;   ///< what the page of a batch shows of it; null where no report is written
};

/// Corrects one tile of a run, measured; writes its resolved configuration before, unless its output is finished and so it
/// is skipped. Failures are logged and recorded, never thrown.
[[nodiscard]] TileRecord run_tile(RunContext& context, const std::string& tile_location);

}  // namespace flatfield::pipeline
