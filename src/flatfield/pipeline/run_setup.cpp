#include "flatfield/pipeline/run_setup.h"

#include <algorithm>
#include <map>

#include "flatfield/core/error.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/pipeline/artifacts.h"
#include "flatfield/pipeline/item_share.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/local_copy.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {
namespace {

/// A tile names its outputs: it needs a name of its own.
void check_tile_names(const std::vector<std::string>& tiles) {
  std::map<std::string, std::string> places;
  for (const std::string& tile : tiles) {
    const std::string name = location_name(tile);
    if (name.empty() || name == "." || name == "..")
      throw Error(ErrorCode::kUsage, "--zarr: the tile has no name", tile, "give its folder by name");
    const auto [other, is_new] = places.emplace(name, tile);
    if (!is_new)
      throw Error(ErrorCode::kUsage, "two tiles of the batch have the same name, and so the same output",
                  other->second + " and " + tile, "correct them in two runs");
  }
}

/// OUT that is named like a tile is the place of its image: those of the other tiles would go inside of it.
void check_output_name(const config::RunConfig& config, const std::vector<std::string>& tiles) {
  if (tiles.size() < 2) return;
  for (const std::string& tile : tiles)
    if (location_name(config.output) == location_name(tile))
      throw Error(ErrorCode::kUsage, "--output is named like a tile of the batch, and the others would go inside its image",
                  config.output, "name a folder that is to hold all of them");
}

/// The results may lie neither in what is read nor in what `--overwrite` replaces.
void check_results_dir(const config::RunConfig& config, const std::vector<std::string>& tiles) {
  for (const std::string& tile : tiles) {
    const OutputLocations outputs = output_locations(config.output, location_name(tile));
    for (const std::string& place : {tile, outputs.corrected, outputs.mask, outputs.probability})
      if (lies_within(config.results_dir, place))
        throw Error(ErrorCode::kUsage,
                    "the results directory " + config.results_dir + " lies in a tile", place,
                    "choose another --results-dir");
  }
}

/// The tiles of a run in the order they are corrected.
std::vector<std::string> tiles_of(const config::RunConfig& config) {
  std::vector<std::string> tiles = config.zarr.empty() ? config.tile_paths : std::vector{config.zarr};
  for (std::string& tile : tiles) tile = trimmed_location(tile);
  std::sort(tiles.begin(), tiles.end());
  return tiles;
}

/// Checked as far as it can be before anything is opened.
std::vector<std::string> checked_tiles(config::RunConfig& config, config::RunStep step) {
  config::check_run_config(config, step);
  std::vector<std::string> tiles = tiles_of(config);
  check_tile_names(tiles);
  check_output_name(config, tiles);
  check_results_dir(config, tiles);
  if (step == config::RunStep::kEstimate && tiles.size() > 1 && config.model.ends_with(".npz"))
    throw Error(ErrorCode::kUsage, "--model: the tiles of the batch would write their models into one file", config.model,
                "name a folder: each tile has TILE.npz in it");
  if (config.is_binned && config.binned_channel.empty())
    config.binned_channel = tile_channel(location_name(tiles.front())).value_or("");
  return tiles;
}

std::int64_t memory_limit(const config::RunConfig& config) {
  return config.memory_limit_bytes > 0 ? config.memory_limit_bytes : execution::default_memory_ceiling();
}

storage::Sync sync_of(const std::string& name) {
  if (name == "close") return storage::Sync::kClose;
  return name == "full" ? storage::Sync::kFull : storage::Sync::kNone;
}

execution::MemoryBudget::Reservation reserve(execution::MemoryBudget& memory, const execution::MemoryNeed& need) {
  return memory.reserve(need.consumer, need.bytes);
}

}  // namespace

RunSetup::RunSetup(config::RunConfig& config, report::Log& log, execution::ProcessGroup& processes,
                   config::RunStep step)
    : tiles_(checked_tiles(config, step)),
      pool_(config.num_workers),
      memory_(memory_limit(config)),
      process_(reserve(memory_, process_need(config.num_workers))),
      stores_(s3_options(config, memory_.limit_bytes()), sync_of(config.sync)),
      context_{.config = config,
               .pool = pool_,
               .processes = processes,
               .log = log,
               .stores = stores_,
               .memory = memory_,
               .step = step} {}

void RunSetup::read_shared() {
  RunContext& context = context_;
  const config::RunConfig& config = context.config;
  for (const std::string& notice : config.notices) context.log.info(notice);
  for (const std::string& warning : config::unused_options(config)) context.log.warning(warning);
  const bool learns = config.model.empty() || context.step == config::RunStep::kEstimate;
  if (!learns || config.skip_flat_field) return;
  if (!config.mask_dir.empty() && config.method != "reference")
    context.masks.emplace(config.mask_dir, context.stores, context.memory,
                          results_root(config.results_dir, context.share));
  if (config.method == "reference")
    context.flatfield_image = with_local_copy(config.flatfield_path, context.stores, [](const auto& path) {
      return read_plane_tiff(path);
    });
  const std::string& summary = config.median_summary_path.empty() ? config.fitting.median_summary_path
                                                                  : config.median_summary_path;
  if (config.method == "fitting" && !summary.empty()) {
    context.median_summary = read_json(summary, "check --median-summary-path", context.stores);
    context.medians.emplace(*context.median_summary, summary);
    for (const std::string& warning : context.medians->warnings()) context.log.warning(warning);
  }
}

}  // namespace flatfield::pipeline
