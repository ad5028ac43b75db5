#include "flatfield/pipeline/tile_levels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kFinestLevel = "0";
constexpr const char* kUsualEstimationLevel = "3";
constexpr double kMostDownsampling = 8.0;

/// How much coarser one level is than another, on its coarsest axis.
double downsampling(const ome::Tile& tile, const std::string& finer, const std::string& coarser) {
  const Extent3 fine = tile.spatial_shape(finer);
  const Extent3 coarse = tile.spatial_shape(coarser);
  double factor = 0.0;
  for (int axis = 0; axis < 3; ++axis)
    factor = std::max(factor, std::floor(static_cast<double>(fine[axis]) /
                                         static_cast<double>(std::max<std::int64_t>(1, coarse[axis]))));
  return factor;
}

/// Level 3, or the coarsest that is at most 8 times smaller than the target.
std::string usual_estimation_level(const ome::Tile& tile, const std::string& target, report::Log& log) {
  if (tile.multiscale().find_level(kUsualEstimationLevel) != nullptr) return kUsualEstimationLevel;
  std::string chosen = target;
  double chosen_factor = 1.0;
  for (const ome::Level& level : tile.multiscale().levels) {
    const double factor = downsampling(tile, target, level.path);
    if (factor > chosen_factor && factor <= kMostDownsampling) {
      chosen = level.path;
      chosen_factor = factor;
    }
  }
  log.warning(fmt::format("the tile has no level {}: statistics are learnt from level {} ({}x smaller)",
                          kUsualEstimationLevel, chosen, chosen_factor));
  return chosen;
}

bool is_binned(const std::string& tile_name, const config::RunConfig& config, report::Log& log) {
  const auto channel = tile_channel(tile_name);
  if (config.is_binned && config.binned_channel.empty() && !channel)
    log.warning("--is-binned: the tile's name holds no channel (_ch_NNN) to know other binned tiles by");
  return config.is_binned || (!config.binned_channel.empty() && channel == config.binned_channel);
}

}  // namespace

TileLevels choose_levels(const ome::Tile& tile, const std::string& tile_name,
                         const config::RunConfig& config, report::Log& log) {
  TileLevels levels;
  levels.binned = is_binned(tile_name, config, log);
  levels.target = levels.binned ? kFinestLevel : config.res;
  if (levels.binned && config.res != kFinestLevel)
    log.warning(fmt::format("--res {} is ignored: a binned tile is corrected at level {}", config.res,
                            kFinestLevel));
  static_cast<void>(tile.level(levels.target));
  if (!config.estimation_res.empty()) {
    levels.estimation = config.estimation_res;
    static_cast<void>(tile.level(levels.estimation));
  } else {
    levels.estimation =
        levels.binned ? kFinestLevel : usual_estimation_level(tile, levels.target, log);
  }
  log.info(fmt::format("estimation level: {} (target level: {})", levels.estimation, levels.target));
  log.info(fmt::format("binned: {}", levels.binned ? "yes" : "no"));
  return levels;
}

}  // namespace flatfield::pipeline
