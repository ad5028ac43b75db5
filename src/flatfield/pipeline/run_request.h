#pragma once

#include <functional>

#include "flatfield/config/run_config.h"
#include "flatfield/core/environment.h"

namespace flatfield::pipeline {

/// Puts together what a run is asked to do (docs/configuration.md). From the weakest to the strongest:
/// defaults, CO_CPUS and CO_MEMORY, the first tile list `../data/tile_*.json` where neither the command line nor --config
/// names a tile, the file of --config, the command line. `command_line` stores what was typed over a configuration.
/// The files of --fitting-config and --basic-config are read too. What was ignored on the way is in `notices`.
/// Throws Error.
[[nodiscard]] config::RunConfig resolve_run(
    const std::function<void(config::RunConfig&)>& command_line,
    const Environment& environment = process_environment);

}  // namespace flatfield::pipeline
