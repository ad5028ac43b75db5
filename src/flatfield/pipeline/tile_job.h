#pragma once

#include <string>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_result.h"

namespace flatfield::pipeline {

/// Corrects one tile, or does one step of that: learns and judges first, then streams, and writes the metadata last.
/// `parameters` is the resolved configuration, for the provenance; with a model those of learning become its own. Throws
/// Error; an output that was begun is then unfinished and recognised as such, and `result` holds what was measured until
/// then. Called again, it goes on where it was.
void correct_tile(RunContext& context, const std::string& tile_location, Json& parameters, TileResult& result);

}  // namespace flatfield::pipeline
