#pragma once

#include <string>

#include "flatfield/config/run_config.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// Plans a run: `document` becomes what would be done for each tile, as text or as JSON. Nothing is corrected.
/// Returns the exit code that a run would end with at this point: 6 where the place of an output is taken, 9 where the work
/// does not fit into the memory; of several tiles 11 where it would fail at some, which have an error in the place of a plan.
[[nodiscard]] int plan(config::RunConfig config, report::Log& log, bool json, std::string& document);

}  // namespace flatfield::pipeline
