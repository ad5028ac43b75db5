#pragma once

#include "flatfield/config/run_config.h"
#include "flatfield/core/extent.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/tile_levels.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// Plans of the images that a tile becomes (README.md, "Outputs").
struct TileOutputs {
  OutputPlan corrected;
  OutputPlan mask;          ///< of the shape of the target level, one level, one volume
  OutputPlan low_mask;      ///< the same at the estimation level
  OutputPlan probability;   ///< of the shape of the estimation level, at most 5 levels
};

/// Plans the outputs of a tile whose target level is `input`. More levels than fit are clamped with a warning.
[[nodiscard]] TileOutputs plan_tile_outputs(const ome::Tile& tile, const std::string& tile_name,
                                            const TileLevels& levels, const zarr::Array& input,
                                            const config::RunConfig& config, report::Log& log);

}  // namespace flatfield::pipeline
