#include "flatfield/pipeline/tile_record.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "flatfield/core/stage_clock.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/pipeline/item_share.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/plan_report.h"
#include "flatfield/pipeline/report_pages.h"
#include "flatfield/pipeline/tile_job.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_places.h"
#include "flatfield/pipeline/tile_plan.h"
#include "flatfield/core/translate_errors.h"

namespace flatfield::pipeline {
namespace {

Json stages_json(const StageSums& sums) {
  Json out = Json::object();
  for (int i = 0; i < kStageCount; ++i) {
    const auto k = static_cast<std::size_t>(i);
    Json stage;
    stage["cpu_seconds"] = 1e-9 * static_cast<double>(sums.cpu_nanoseconds[k]);
    stage["wall_seconds"] = 1e-9 * static_cast<double>(sums.wall_nanoseconds[k]);
    out[stage_name(static_cast<Stage>(i))] = std::move(stage);
  }
  return out;
}

/// Measurements of all processes of a run together: sums, but the maximum of their peak memories, each of which is that since
/// the process began.
struct Measured {
  StageSums stages;
  ItemCounts items;
  double cpu_seconds = 0.0;
  std::int64_t peak_memory_bytes = 0;
};

/// Makes what this process has measured that of all.
void merge_measured(Measured& measured, const Merge& merge) {
  StageSums& stages = measured.stages;
  ItemCounts& items = measured.items;
  auto cpu_nanoseconds = static_cast<std::int64_t>(1e9 * measured.cpu_seconds);
  std::vector<std::int64_t*> places{&stages.bytes_read, &stages.bytes_written, &items.total,   &items.done,
                                    &items.found,       &items.repeated,       &cpu_nanoseconds};
  for (auto* of_stages : {&stages.cpu_nanoseconds, &stages.wall_nanoseconds})
    for (std::int64_t& nanoseconds : *of_stages) places.push_back(&nanoseconds);
  std::vector<std::int64_t> sums;
  for (const std::int64_t* place : places) sums.push_back(*place);
  merge.sum(sums);
  for (std::size_t i = 0; i < places.size(); ++i) *places[i] = sums[i];
  measured.cpu_seconds = 1e-9 * static_cast<double>(cpu_nanoseconds);
  std::int64_t least = -measured.peak_memory_bytes;
  merge.least(std::span(&least, 1));
  measured.peak_memory_bytes = -least;
}

double total_cpu_seconds(const StageSums& sums) {
  double seconds = 0.0;
  for (const std::int64_t nanoseconds : sums.cpu_nanoseconds) seconds += 1e-9 * static_cast<double>(nanoseconds);
  return seconds;
}

/// The resolved configuration as one tile sees it: running again with it corrects this tile.
Json tile_config(const config::RunConfig& config, const std::string& tile) {
  config::RunConfig own = config;
  own.zarr = tile;
  return config::resolved_config(own);
}

/// Whether the tile will be skipped, as its output is finished: known without the tile, which may not be there.
bool will_be_skipped(RunContext& context, const std::string& tile) {
  const config::RunConfig& config = context.config;
  // Of an estimate with --model only that is written.
  if (context.step == config::RunStep::kEstimate && !config.model.empty()) return false;
  const TilePlaces places(context, trimmed_location(tile), output_locations(config.output, location_name(tile)));
  return places.holds_finished();
}

/// What is written about a tile before it is read; a tile that is skipped keeps what was asked for when it was made.
void write_tile_configs(const RunContext& context, const std::string& tile, const Json& resolved) {
  const config::RunConfig& config = context.config;
  const std::string suffix = "_" + location_name(tile) + ".json";
  write_json(config.results_dir + "/config" + suffix, resolved);
  // The options of an earlier run with another method would pass for this one's; where a model is applied, they may be what
  // it was learnt with.
  const bool learns = context.step == config::RunStep::kEstimate ||
                      (context.step == config::RunStep::kRun && config.model.empty());
  for (const auto& [file, method, options] :
       {std::tuple("/fitting_config", "fitting", "fitting"), std::tuple("/basic_config", "basicpy", "basic")}) {
    const std::string path = config.results_dir + file + suffix;
    if (!config.skip_flat_field && config.method == method)
      write_json(path, *resolved.find(options));
    else if (learns)
      remove_result_file(path);
  }
}

/// The plan that a tile is compared with; none where nothing is to be done, or by several processes, as a plan is that of
/// one, or where it cannot be made, which the correction will say itself. Nothing is said here: warnings would come twice.
std::optional<TilePlan> plan_before(RunContext& context, const std::string& tile) {
  if (context.processes.is_shared()) return std::nullopt;
  if (context.step != config::RunStep::kRun || !context.config.model.empty()) return std::nullopt;
  try {
    report::Log quiet(report::LogLevel::kCritical, false);
    execution::ProcessGroup alone;
    RunContext own{.config = context.config,
                   .pool = context.pool,
                   .processes = alone,
                   .log = quiet,
                   .stores = context.stores,
                   .memory = context.memory,
                   .medians = context.medians};
    if (context.masks)
      own.masks.emplace(context.config.mask_dir, context.stores, context.memory,
                        results_root(context.config.results_dir, context.share));
    if (context.flatfield_image) own.flatfield_image = context.flatfield_image->clone();
    TilePlan plan = plan_tile(own, tile, PlanEffort::kProbeIfLarge);
    return plan.is_finished ? std::nullopt : std::optional(std::move(plan));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// The record of a tile: what it is about, and what is measured while the tile is corrected.
class TileAccount {
 public:
  TileAccount(RunContext& context, std::string name, std::optional<TilePlan> plan)
      : context_(context), name_(std::move(name)), plan_(std::move(plan)) {
    record["tile"] = name_;
    record["status"] = "failed";
    record["reason"] = Json();
  }

  /// What came of the tile.
  void note_result() {
    record["status"] = status_name(result.status);
    if (!result.reason.empty()) record["reason"] = result.reason;
    if (!result.finished_as.is_null()) record["finished_as"] = result.finished_as;
  }

  void note_failure(const Error& error, const ItemCounts& items) {
    plan_.reset();
    record.erase("plan");
    const bool is_interrupted = error.code() == ErrorCode::kInterrupted;
    // What follows from a request to stop is no failure of the tile.
    record["status"] = is_interrupted ? "interrupted" : "failed";
    record["reason"] = error.what();
    record["error_code"] = error_code_name(error.code());
    if (is_interrupted)
      context_.log.event(report::LogLevel::kWarning, "tile_interrupted",
                         fmt::format("interrupted with {} of {} items done: start the same command again to go on",
                                     items.done + items.found, items.total));
    else
      context_.log.failure("tile_failed", error);
  }

  /// What was measured until now, in all processes, which call it together.
  void measure(Measured& measured) const {
    measured.stages = totals.snapshot();
    measured.items = result.items;
    measured.cpu_seconds = execution::process_cpu_seconds() - cpu_before_;
    measured.peak_memory_bytes = execution::peak_resident_bytes();
    merge_measured(measured, context_.processes);
  }

  /// Brings the record up to date.
  void note_measured(const Measured& measured) {
    const StageSums& stages = measured.stages;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    record["seconds"] = seconds;
    record["processes"] = context_.processes.size();
    record["cpu_seconds"] = measured.cpu_seconds;
    record["stage_cpu_seconds_total"] = total_cpu_seconds(stages);
    record["stages"] = stages_json(stages);
    record["bytes_read"] = stages.bytes_read;
    record["bytes_written"] = stages.bytes_written;
    record["peak_memory_bytes"] = measured.peak_memory_bytes;
    take_warnings();
    Json items;
    items["total"] = measured.items.total;
    items["done"] = measured.items.done;
    items["found"] = measured.items.found;
    items["repeated"] = measured.items.repeated;
    record["items"] = std::move(items);
    record["qc"] = result.quality;
    if (!plan_) return;
    actual_ = {stages.bytes_read, stages.bytes_written, measured.peak_memory_bytes, measured.cpu_seconds, seconds};
    record["plan"] = comparison_json(*plan_, *actual_);
  }

  /// The page of the tile. What is to be warned of then is in the record, but not in the page.
  void write_page(const Json& resolved) {
    const bool is_estimate = context_.step == config::RunStep::kEstimate;
    write_tile_page({is_estimate ? "Report of an estimated correction" : "Report of a correction", name_, report_name(name_),
                     record, resolved, Json(), result.pictures},
                    context_.config, context_.log);
    take_warnings();
  }

  void say_how_it_ended() const {
    if (actual_ && plan_) context_.log.info(name_ + ": " + comparison_text(*plan_, *actual_));
    Json fields;
    for (const char* key : {"tile", "status", "seconds"}) fields[key] = *record.find(key);
    const auto megabytes = [&](const char* key) { return static_cast<double>(record.find(key)->as_int64()) / 1e6; };
    context_.log.event(report::LogLevel::kInfo, "tile_finished",
                       fmt::format("{}: {} in {:.1f} s ({:.0f} MB read, {:.0f} MB written, peak memory so far {:.0f} MB)",
                                   name_, record.find("status")->as_string(), record.find("seconds")->as_double(),
                                   megabytes("bytes_read"), megabytes("bytes_written"), megabytes("peak_memory_bytes")),
                       fields);
  }

  StageTotals totals;
  TileResult result;
  Json record;

 private:
  void take_warnings() {
    Json& warnings = record["warnings"];
    if (warnings.is_null()) warnings = Json::array();
    for (const std::string& warning : context_.log.take_warnings()) warnings.push_back(warning);
  }

  RunContext& context_;
  std::string name_;
  std::optional<TilePlan> plan_;
  std::optional<ActualCost> actual_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double cpu_before_ = execution::process_cpu_seconds();
};

}  // namespace

TileRecord run_tile(RunContext& context, const std::string& tile) {
  const std::string name = location_name(tile);
  TileAccount account(context, name, plan_before(context, tile));
  TileResult& result = account.result;
  Json resolved = tile_config(context.config, tile);
  const bool reports = config::writes_report(context.config) && context.step != config::RunStep::kApply &&
                       context.processes.is_first();
  bool has_page = false;
  // A start that finds the output finished makes nothing of the tile again.
  const auto before_finished = [&] {
    const StageScope scope(Stage::kOther);
    account.note_result();
    Measured measured;
    account.measure(measured);
    account.note_measured(measured);
    if (reports) account.write_page(resolved);
    has_page = reports;
  };
  std::optional<Error> failure;
  {
    const StageBinding binding(account.totals, Stage::kArithmetic);
    try {
      with_errors([&] {
        context.processes.together([&] {
          if (context.processes.is_first() && !will_be_skipped(context, tile))
            write_tile_configs(context, tile, resolved);
          correct_tile(context, tile, resolved, result, before_finished);
        });
        account.note_result();
      });
    } catch (const Error& error) {
      failure = error;
    }
  }
  Measured measured;
  account.measure(measured);
  if (failure) account.note_failure(*failure, measured.items);
  account.note_measured(measured);
  const bool is_skipped = !failure && result.status == TileStatus::kSkipped;
  if (reports && !is_skipped && (failure || !has_page)) account.write_page(resolved);
  account.say_how_it_ended();
  return {std::move(account.record), failure ? exit_code(failure->code()) : 0,
          reports ? batch_entry(name, result.pictures, context.config.results_dir) : Json()};
}

}  // namespace flatfield::pipeline
