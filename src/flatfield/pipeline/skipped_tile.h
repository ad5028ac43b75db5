#pragma once

#include <string>

#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_result.h"

namespace flatfield::pipeline {

/// A tile whose output is finished, and is not to be overwritten, is left as it is; it need not be there any more, as its place
/// and its name are all that is looked at. True if so, and `result` says it then. All processes call it together. Throws
/// Error(kUsage) where the output would overwrite the tile.
[[nodiscard]] bool skip_if_finished(RunContext& context, const std::string& location, TileResult& result);

}  // namespace flatfield::pipeline
