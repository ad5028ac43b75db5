#include "flatfield/pipeline/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <new>
#include <span>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/pipeline/tile_job.h"
#include "flatfield/pipeline/tile_paths.h"

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
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path))
    throw Error(ErrorCode::kWriteFailed, "cannot make the results directory: " + error.message(), path,
                "choose another --results-dir");
}

Json stages_json(const StageTotals& totals) {
  Json out = Json::object();
  for (int i = 0; i < kStageCount; ++i) {
    const auto k = static_cast<std::size_t>(i);
    Json stage;
    stage["cpu_seconds"] = 1e-9 * static_cast<double>(totals.cpu_nanoseconds[k].load());
    stage["wall_seconds"] = 1e-9 * static_cast<double>(totals.wall_nanoseconds[k].load());
    out[stage_name(static_cast<Stage>(i))] = std::move(stage);
  }
  return out;
}

double total_cpu_seconds(const StageTotals& totals) {
  double seconds = 0.0;
  for (const auto& stage : totals.cpu_nanoseconds) seconds += 1e-9 * static_cast<double>(stage.load());
  return seconds;
}

/// Runs `work`, turning every failure into an Error. std::bad_alloc is memory, the rest a defect.
template <class F>
void with_errors(F work) {
  try {
    work();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kMemory, "there is not enough memory", "",
                "give the job more memory, or use fewer workers (--num-workers)");
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::kReadFailed, error.what());
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kInternal, error.what(), "", "please report this");
  }
}

/// The resolved configuration as one tile sees it: running again with it corrects this tile.
Json tile_config(const config::RunConfig& config, const std::string& tile) {
  config::RunConfig own = config;
  own.zarr = tile;
  return config::resolved_config(own);
}

/// What is written about a tile before it is read.
void write_tile_configs(const config::RunConfig& config, const std::string& tile, const Json& resolved) {
  const std::string suffix = "_" + location_name(tile) + ".json";
  write_json(config.results_dir + "/config" + suffix, resolved);
  if (config.method == "fitting" && !config.skip_flat_field)
    write_json(config.results_dir + "/fitting_config" + suffix, *resolved.find("fitting"));
}

/// One tile, measured: its record in the run report. `exit` becomes the exit code of its error, if there is one.
Json run_tile(RunContext& context, const std::string& tile, int& exit) {
  const std::string name = location_name(tile);
  const auto start = std::chrono::steady_clock::now();
  const double cpu_before = execution::process_cpu_seconds();
  StageTotals totals;
  Json record;
  record["tile"] = name;
  record["status"] = "failed";
  record["reason"] = Json();
  Json quality;
  {
    const StageBinding binding(totals, Stage::kArithmetic);
    try {
      with_errors([&] {
        const Json resolved = tile_config(context.config, tile);
        write_tile_configs(context.config, tile, resolved);
        TileResult result = correct_tile(context, tile, resolved);
        record["status"] = status_name(result.status);
        if (!result.reason.empty()) record["reason"] = result.reason;
        quality = std::move(result.quality);
      });
    } catch (const Error& error) {
      exit = exit_code(error.code());
      record["reason"] = error.what();
      record["error_code"] = error_code_name(error.code());
      context.log.event(report::LogLevel::kError, "tile_failed", error.what());
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  record["seconds"] = seconds;
  record["cpu_seconds"] = execution::process_cpu_seconds() - cpu_before;
  record["stage_cpu_seconds_total"] = total_cpu_seconds(totals);
  record["stages"] = stages_json(totals);
  record["bytes_read"] = totals.bytes_read.load();
  record["bytes_written"] = totals.bytes_written.load();
  record["peak_memory_bytes"] = execution::peak_resident_bytes();
  record["warnings"] = Json(context.log.take_warnings());
  record["qc"] = std::move(quality);
  Json fields;
  fields["tile"] = name;
  fields["status"] = *record.find("status");
  fields["seconds"] = seconds;
  context.log.event(report::LogLevel::kInfo, "tile_finished",
                    fmt::format("{}: {} in {:.1f} s ({:.0f} MB read, {:.0f} MB written, peak memory {:.0f} MB)",
                                name, record.find("status")->as_string(), seconds,
                                static_cast<double>(totals.bytes_read.load()) / 1e6,
                                static_cast<double>(totals.bytes_written.load()) / 1e6,
                                static_cast<double>(execution::peak_resident_bytes()) / 1e6),
                    fields);
  return record;
}

/// What all tiles need is read once, before the first of them.
void prepare(RunContext& context) {
  const config::RunConfig& config = context.config;
  for (const std::string& notice : config.notices) context.log.info(notice);
  for (const std::string& warning : config::unused_options(config)) context.log.warning(warning);
  if (!config.mask_dir.empty() && !config.skip_flat_field) context.masks.emplace(config.mask_dir);
  if (config.skip_flat_field) return;
  if (config.method == "reference") context.flatfield_image = read_plane_tiff(config.flatfield_path);
  const std::string& summary = config.median_summary_path;
  if (config.method == "fitting" && !summary.empty()) {
    context.medians.emplace(read_json(summary, "check --median-summary-path"), summary);
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
    Json overlap = measure_overlaps(context.placed, context.pool);
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

/// The run report; written anew after every tile, so that a run that is killed has reported those before.
class RunReport {
 public:
  RunReport(std::string path, std::vector<std::string> warnings)
      : path_(std::move(path)), warnings_(std::move(warnings)) {}

  void add(Json record, int exit) {
    records_.push_back(std::move(record));
    exit_ = exit;
    write();
  }
  void add_overlap(Json overlap, std::vector<std::string> warnings) {
    overlap_ = std::move(overlap);
    warnings_.insert(warnings_.end(), warnings.begin(), warnings.end());
    write();
  }

  [[nodiscard]] Json counts() const {
    Json counts = Json::object();
    for (const char* status : {"corrected", "background_only", "skipped", "failed"})
      counts[status] = std::count_if(records_.begin(), records_.end(), [&](const Json& record) {
        return record.find("status")->as_string() == status;
      });
    return counts;
  }

 private:
  void write() const {
    Json report;
    report["program"] = "exaspim-flatfield";
    report["version"] = FLATFIELD_VERSION;
    report["counts"] = counts();
    report["warnings"] = Json(warnings_);  // of the run as a whole
    report["tiles"] = Json(Json::Array(records_.begin(), records_.end()));
    report["overlap"] = overlap_;
    report["exit_code"] = exit_;
    write_json(path_, report);
  }

  std::string path_;
  std::vector<std::string> warnings_;
  std::vector<Json> records_;
  Json overlap_;
  int exit_ = 0;
};

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
  RunContext context{config, pool, log, memory, {}, {}, {}, {}};
  prepare(context);
  RunReport report(config.results_dir + "/run_report.json", log.take_warnings());

  int exit = 0;
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    if (tiles.size() > 1) log.info(fmt::format("tile {} of {}: {}", i + 1, tiles.size(), tiles[i]));
    int tile_exit = 0;
    Json record = run_tile(context, tiles[i], tile_exit);
    if (tile_exit != 0) exit = tiles.size() > 1 ? exit_code(ErrorCode::kTilesFailed) : tile_exit;
    report.add(std::move(record), exit);
    if (context.masks) context.masks->forget_all_but(std::span(tiles).subspan(i + 1));
  }
  if (tiles.size() == 1) return exit;
  Json overlap = overlap_report(context);
  report.add_overlap(std::move(overlap), log.take_warnings());
  const Json counts = report.counts();
  log.event(exit == 0 ? report::LogLevel::kInfo : report::LogLevel::kError, "run_finished",
            fmt::format("{} tiles: {} corrected, {} with background subtraction only, {} skipped, {} failed",
                        tiles.size(), counts.find("corrected")->as_int64(),
                        counts.find("background_only")->as_int64(), counts.find("skipped")->as_int64(),
                        counts.find("failed")->as_int64()),
            counts);
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
