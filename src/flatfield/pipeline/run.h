#pragma once

#include "flatfield/config/run_config.h"
#include "flatfield/execution/process_group.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// Corrects the tiles that the configuration names, one after another, or does one step of that, and writes the results
/// directory: log, resolved configurations, provenance and run report. A tile that fails leaves the others; errors are logged.
/// Returns the process exit code: that of the tile, or for a batch in which tiles failed that of kTilesFailed.
[[nodiscard]] int run(config::RunConfig config, report::Log& log,
                      config::RunStep step = config::RunStep::kRun);
/// The same, done by several processes together: the first writes what is written once, and all return the same.
[[nodiscard]] int run(config::RunConfig config, report::Log& log, execution::ProcessGroup& processes,
                      config::RunStep step = config::RunStep::kRun);

}  // namespace flatfield::pipeline
