#pragma once

#include <string>

#include "flatfield/config/run_config.h"
#include "flatfield/ome/tile.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// Which levels of a tile are corrected and learnt from.
struct TileLevels {
  std::string target;
  std::string estimation;
  bool binned = false;
};

/// Chooses the levels (docs/methods.md, at its beginning), and says so in the log. Throws Error(kNotFound) for a level that
/// the tile does not have.
[[nodiscard]] TileLevels choose_levels(const ome::Tile& tile, const std::string& tile_name,
                                       const config::RunConfig& config, report::Log& log);

}  // namespace flatfield::pipeline
