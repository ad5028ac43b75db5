#pragma once

#include <functional>
#include <string>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_result.h"

namespace flatfield::pipeline {

/// Corrects one tile, or does one step of that: learns and judges first, then streams, and writes the metadata last.
/// `parameters` is the resolved configuration, for the provenance; with a model those of learning become its own. Throws
/// Error; an output that was begun is then unfinished and recognised as such, and `result` holds what was measured until
/// then. Called again, it goes on where it was, and leaves a finished output as it is, also where the tile is no more.
/// `before_finished` is called by all processes when all voxels are written and the metadata are not: what is to be there
/// beside every finished output is made in it.
void correct_tile(RunContext& context, const std::string& tile_location, Json& parameters, TileResult& result,
                  const std::function<void()>& before_finished);

}  // namespace flatfield::pipeline
