#include "flatfield/pipeline/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/pipeline/artifacts.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/local_copy.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/run_report.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_record.h"
#include "flatfield/pipeline/translate_errors.h"
#include "flatfield/storage/write_probe.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

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

void make_results_dir(const std::string& path) {
  if (storage::is_remote(path))
    throw Error(ErrorCode::kUsage, "--results-dir: the results directory must be a local folder", path,
                "leave it out: beside an output on S3 it is uploaded to artifacts/");
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path))
    throw Error(ErrorCode::kWriteFailed, "cannot make the results directory: " + error.message(), path,
                "choose another --results-dir");
}

/// What all tiles need is read once, before the first of them.
void prepare(RunContext& context) {
  const config::RunConfig& config = context.config;
  for (const std::string& notice : config.notices) context.log.info(notice);
  for (const std::string& warning : config::unused_options(config)) context.log.warning(warning);
  if (!config.mask_dir.empty() && !config.skip_flat_field) context.masks.emplace(config.mask_dir, context.stores);
  if (config.skip_flat_field) return;
  if (config.method == "reference") context.flatfield_image = with_local_copy(config.flatfield_path, context.stores, [](const auto& path) {
      return read_plane_tiff(path);
    });
  const std::string& summary = config.median_summary_path.empty() ? config.fitting.median_summary_path
                                                                  : config.median_summary_path;
  if (config.method == "fitting" && !summary.empty()) {
    context.medians.emplace(read_json(summary, "check --median-summary-path", context.stores), summary);
    for (const std::string& warning : context.medians->warnings()) context.log.warning(warning);
  }
}

/// The tiles of a run in the order they are corrected.
std::vector<std::string> tiles_of(const config::RunConfig& config) {
  std::vector<std::string> tiles = config.zarr.empty() ? config.tile_paths : std::vector{config.zarr};
  for (std::string& tile : tiles) tile = trimmed_location(tile);
  std::sort(tiles.begin(), tiles.end());
  return tiles;
}

/// How much the corrected tiles differ where they overlap. A number that cannot be had fails no run.
Json overlap_report(RunContext& context) {
  try {
    Json overlap = measure_overlaps(context.placed, context.stores, context.pool);
    if (overlap.is_null()) return overlap;
    const auto text = [&](const char* key) {
      const Json& value = *overlap.find(key);
      return value.is_null() ? std::string("not measured") : fmt::format("{:.4f}", value.as_double());
    };
    context.log.info(fmt::format("overlap residual of {} pairs of tiles: before {}, after {}",
                                 overlap.find("pairs")->as_int64(), text("residual_before"), text("residual_after")));
    return overlap;
  } catch (const std::exception& error) {
    context.log.warning(std::string("the overlaps of the tiles could not be measured: ") + error.what());
    return {};
  }
}

/// What concerns the tiles of a batch together.
void finish_batch(RunContext& context, RunReport& report, int exit) {
  Json overlap = overlap_report(context);
  report.add_overlap(std::move(overlap), context.log.take_warnings());
  const Json counts = report.counts();
  context.log.event(exit == 0 ? report::LogLevel::kInfo : report::LogLevel::kError, "run_finished",
            fmt::format("{} tiles: {} corrected, {} with background subtraction only, {} skipped, {} failed",
                        report.tile_count(), counts.find("corrected")->as_int64(),
                        counts.find("background_only")->as_int64(), counts.find("skipped")->as_int64(),
                        counts.find("failed")->as_int64()),
            counts);
}

int run_checked(config::RunConfig& config, report::Log& log) {
  config::check_run_config(config);
  const std::vector<std::string> tiles = tiles_of(config);
  check_tile_names(tiles);
  check_results_dir(config, tiles);
  if (config.is_binned && config.binned_channel.empty())
    config.binned_channel = tile_channel(location_name(tiles.front())).value_or("");
  make_results_dir(config.results_dir);
  log.open_file(config.results_dir + "/exaspim_flatfield.log");

  execution::ThreadPool pool(config.num_workers);
  const std::int64_t memory =
      config.memory_limit_bytes > 0 ? config.memory_limit_bytes : execution::default_memory_ceiling();
  execution::MemoryBudget budget(memory);
  const execution::MemoryNeed process = process_need(config.num_workers);
  const auto held = budget.reserve(process.consumer, process.bytes);
  storage::StoreOpener stores(s3_options(config, memory));
  RunContext context{config, pool, log, stores, budget, {}, {}, {}, {}};
  prepare(context);
  const std::string artifacts = artifacts_location(config.output, tiles.front());
  const bool uploads = storage::is_remote(config.output);
  if (uploads) storage::prove_writable(*stores.open(artifacts));
  RunReport report(config.results_dir + "/run_report.json", log.take_warnings());

  int exit = 0;
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    if (tiles.size() > 1) log.info(fmt::format("tile {} of {}: {}", i + 1, tiles.size(), tiles[i]));
    TileRecord record = run_tile(context, tiles[i]);
    if (record.exit_code != 0)
      exit = tiles.size() > 1 ? exit_code(ErrorCode::kTilesFailed) : record.exit_code;
    report.add(std::move(record.report), exit);
    if (context.masks) context.masks->forget_all_but(std::span(tiles).subspan(i + 1));
  }
  if (tiles.size() > 1) finish_batch(context, report, exit);
  if (uploads) {
    log.info("the results directory is uploaded to " + artifacts);
    const std::int64_t files = upload_folder(config.results_dir, artifacts, stores);
    log.info(fmt::format("uploaded: {} files", files));
  }
  return exit;
}

}  // namespace

int run(config::RunConfig config, report::Log& log) {
  try {
    int exit = 0;
    with_errors([&] { exit = run_checked(config, log); });
    return exit;
  } catch (const Error& error) {
    log.event(report::LogLevel::kError, "run_failed", error.what());
    return exit_code(error.code());
  }
}

}  // namespace flatfield::pipeline
