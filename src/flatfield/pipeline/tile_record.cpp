#include "flatfield/pipeline/tile_record.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <optional>
#include <span>

#include "flatfield/core/stage_clock.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/plan_report.h"
#include "flatfield/pipeline/report_pages.h"
#include "flatfield/pipeline/tile_job.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_plan.h"
#include "flatfield/core/translate_errors.h"

namespace flatfield::pipeline {
namespace {

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

/// What the processes of a run have each measured, as that of all: sums, and of the peak memory the most.
struct Measured {
  StageTotals stages;
  ItemCounts items;
  double cpu_seconds = 0.0;
  std::int64_t peak_memory_bytes = 0;
};

void merge_measured(Measured& of_this, const Merge& merge) {
  std::vector<std::int64_t> sums;
  const auto for_each_sum = [&](auto visit) {
    for (auto* nanoseconds : {&of_this.stages.cpu_nanoseconds, &of_this.stages.wall_nanoseconds})
      for (std::atomic<std::int64_t>& stage : *nanoseconds) visit(stage);
    visit(of_this.stages.bytes_read);
    visit(of_this.stages.bytes_written);
    for (std::int64_t* count : {&of_this.items.total, &of_this.items.done, &of_this.items.found, &of_this.items.repeated})
      visit(*count);
  };
  for_each_sum([&](const auto& value) { sums.push_back(value); });
  sums.push_back(static_cast<std::int64_t>(1e9 * of_this.cpu_seconds));
  merge.sum(sums);
  auto next = sums.begin();
  for_each_sum([&](auto& value) { value = *next++; });
  of_this.cpu_seconds = 1e-9 * static_cast<double>(*next);
  std::int64_t least = -of_this.peak_memory_bytes;
  merge.least(std::span(&least, 1));
  of_this.peak_memory_bytes = -least;
}

double total_cpu_seconds(const StageTotals& totals) {
  double seconds = 0.0;
  for (const auto& stage : totals.cpu_nanoseconds) seconds += 1e-9 * static_cast<double>(stage.load());
  return seconds;
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
  if (config.skip_flat_field) return;
  if (config.method == "fitting")
    write_json(config.results_dir + "/fitting_config" + suffix, *resolved.find("fitting"));
  if (config.method == "basicpy")
    write_json(config.results_dir + "/basic_config" + suffix, *resolved.find("basic"));
}

/// The plan that a tile is compared with; none where nothing is to be done, or by several processes, as a plan is that of
/// one, or where it cannot be made, which the correction will say itself. Nothing is said here: warnings would come twice.
std::optional<TilePlan> plan_before(RunContext& context, const std::string& tile) {
  if (context.processes.is_shared()) return std::nullopt;
  if (context.step != config::RunStep::kRun || !context.config.model.empty()) return std::nullopt;
  try {
    const OutputLocations places = output_locations(context.config.output, location_name(tile));
    if (!context.config.overwrite && output_state(*context.stores.open(places.corrected)) == OutputState::kFinished)
      return std::nullopt;
    report::Log quiet(report::LogLevel::kCritical, false);
    execution::ProcessGroup alone;
    RunContext own{context.config, context.pool, alone, quiet, context.stores, context.memory, {}, context.medians, {}, {}};
    if (context.masks) own.masks.emplace(context.config.mask_dir, context.stores, context.memory);
    if (context.flatfield_image) own.flatfield_image = context.flatfield_image->clone();
    return plan_tile(own, tile, PlanEffort::kProbeIfLarge);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// The page of a tile. What is to be warned of then is in the record, but not in the page.
void write_page(RunContext& context, const std::string& name, const Json& resolved,
                std::span<const report::VolumePictures> pictures, Json& record) {
  const bool is_estimate = context.step == config::RunStep::kEstimate;
  write_tile_page({is_estimate ? "Report of an estimated correction" : "Report of a correction", name, report_name(name),
                   record, resolved, Json(), pictures},
                  context.config, context.log);
  for (const std::string& warning : context.log.take_warnings()) record["warnings"].push_back(warning);
}

}  // namespace

TileRecord run_tile(RunContext& context, const std::string& tile) {
  const std::string name = location_name(tile);
  const std::optional<TilePlan> plan = plan_before(context, tile);
  const auto start = std::chrono::steady_clock::now();
  const double cpu_before = execution::process_cpu_seconds();
  Measured measured;
  StageTotals& totals = measured.stages;
  int exit = 0;
  TileResult result;
  Json resolved = tile_config(context.config, tile);
  Json record;
  record["tile"] = name;
  record["status"] = "failed";
  record["reason"] = Json();
  std::optional<Error> failure;
  {
    const StageBinding binding(totals, Stage::kArithmetic);
    try {
      with_errors([&] {
        context.processes.together([&] {
          if (context.processes.is_first()) write_tile_configs(context.config, tile, resolved);
          correct_tile(context, tile, resolved, result);
        });
        record["status"] = status_name(result.status);
        if (!result.reason.empty()) record["reason"] = result.reason;
        if (!result.finished_as.is_null()) record["finished_as"] = result.finished_as;
      });
    } catch (const Error& error) {
      failure = error;
    }
  }
  measured.items = result.items;
  measured.cpu_seconds = execution::process_cpu_seconds() - cpu_before;
  measured.peak_memory_bytes = execution::peak_resident_bytes();
  merge_measured(measured, context.processes);
  const ItemCounts& items_of_all = measured.items;
  if (failure) {
    // What follows from a request to stop is no failure of the tile.
    if (failure->code() == ErrorCode::kInterrupted) record["status"] = "interrupted";
    exit = exit_code(failure->code());
    record["reason"] = failure->what();
    record["error_code"] = error_code_name(failure->code());
    if (failure->code() == ErrorCode::kInterrupted)
      context.log.event(report::LogLevel::kWarning, "tile_interrupted",
                        fmt::format("interrupted with {} of {} items done: start the same command again to go on",
                                    items_of_all.done + items_of_all.found, items_of_all.total));
    else
      context.log.failure("tile_failed", *failure);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  record["seconds"] = seconds;
  record["processes"] = context.processes.size();
  record["cpu_seconds"] = measured.cpu_seconds;
  record["stage_cpu_seconds_total"] = total_cpu_seconds(totals);
  record["stages"] = stages_json(totals);
  record["bytes_read"] = totals.bytes_read.load();
  record["bytes_written"] = totals.bytes_written.load();
  record["peak_memory_bytes"] = measured.peak_memory_bytes;
  record["warnings"] = Json(context.log.take_warnings());
  Json items;
  items["total"] = items_of_all.total;
  items["done"] = items_of_all.done;
  items["found"] = items_of_all.found;
  items["repeated"] = items_of_all.repeated;
  record["items"] = std::move(items);
  record["qc"] = std::move(result.quality);
  if (plan && exit == 0) {
    ActualCost actual{totals.bytes_read, totals.bytes_written, measured.peak_memory_bytes,
                      record.find("cpu_seconds")->as_double(), seconds};
    record["plan"] = comparison_json(*plan, actual);
    context.log.info(name + ": " + comparison_text(*plan, actual));
  }
  const bool reports = config::writes_report(context.config) && context.step != config::RunStep::kApply &&
                       context.processes.is_first();
  // A tile that is skipped has the report of the run that corrected it.
  if (reports && result.status != TileStatus::kSkipped) write_page(context, name, resolved, result.pictures, record);
  Json fields;
  fields["tile"] = name;
  fields["status"] = *record.find("status");
  fields["seconds"] = seconds;
  context.log.event(report::LogLevel::kInfo, "tile_finished",
                    fmt::format("{}: {} in {:.1f} s ({:.0f} MB read, {:.0f} MB written, peak memory {:.0f} MB)",
                                name, record.find("status")->as_string(), seconds,
                                static_cast<double>(totals.bytes_read.load()) / 1e6,
                                static_cast<double>(totals.bytes_written.load()) / 1e6,
                                static_cast<double>(measured.peak_memory_bytes) / 1e6),
                    fields);
  return {std::move(record), exit, reports ? batch_entry(name, result.pictures, context.config.results_dir) : Json()};
}

}  // namespace flatfield::pipeline
