#include "flatfield/pipeline/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/interruption.h"
#include "flatfield/pipeline/artifacts.h"
#include "flatfield/pipeline/item_share.h"
#include "flatfield/pipeline/local_folders.h"
#include "flatfield/pipeline/report_pages.h"
#include "flatfield/pipeline/results.h"
#include "flatfield/pipeline/run_report.h"
#include "flatfield/pipeline/run_setup.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_record.h"
#include "flatfield/core/translate_errors.h"
#include "flatfield/storage/write_probe.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kLogName = "exaspim_flatfield.log";

/// How much the corrected tiles differ where they overlap. A number that cannot be had fails no run.
Json overlap_report(RunContext& context) {
  try {
    Json overlap = measure_overlaps(context.placed, context.stores, context.pool, context.memory);
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

/// Before every tile is finished and after it: the machine of a run may be taken away, and a start on another one does not
/// make the results of finished tiles again. Unless it is the last time, what cannot be uploaded is tried again later.
void upload_results(RunContext& context, FolderUpload& upload, bool is_last, int exit) {
  context.log.info("the results directory is uploaded to " + upload.location());
  try {
    const std::int64_t files = upload.update(context.stores);
    context.log.info(fmt::format("uploaded: {} files", files));
  } catch (const Error& error) {
    // What went wrong first is what the run is about.
    if (is_last && exit == 0) throw;
    context.log.warning(std::string("the results directory is not uploaded: ") + error.what());
  }
}

/// Whether any process of the run was asked to stop.
bool any_interrupted(const execution::ProcessGroup& processes) {
  std::array<std::uint64_t, 1> interrupted{interruption_requested() ? std::uint64_t{1} : 0};
  processes.sum(interrupted);
  return interrupted[0] != 0;
}

int run_checked(config::RunConfig& config, config::RunStep step, report::Log& log,
                execution::ProcessGroup& processes) {
  const Share share = parse_share(config.part);
  config.results_dir = results_folder(config.results_dir, share);
  RunSetup setup(config, log, processes, step);
  setup.context().share = share;
  bool has_earlier_log = false;
  processes.first_only([&] {
    make_results_dir(config.results_dir);
    const std::string path = join_location(config.results_dir, kLogName);
    std::error_code unknown;
    has_earlier_log = std::filesystem::exists(path, unknown);
    log.open_file(path);
  });
  processes.together([&] { setup.read_shared(); });  // a file may be on the machine of one of them alone
  const std::vector<std::string>& tiles = setup.tiles();
  RunContext& context = setup.context();
  std::string artifacts = artifacts_location(config.output, tiles.front());
  if (share.parts > 1) artifacts = join_location(artifacts, location_name(config.results_dir));
  const bool uploads = storage::is_remote(config.output);
  if (uploads) processes.first_only([&] { storage::prove_writable(*context.stores.open(artifacts)); });
  FolderUpload upload(config.results_dir, artifacts);
  // On a disk a log goes on where the last run ended; on a server too, whichever machine that was.
  if (uploads)
    processes.first_only([&] {
      if (!has_earlier_log) upload.keep_earlier(context.stores, kLogName);
    });
  if (uploads) context.keep_results = [&] { upload_results(context, upload, false, 0); };
  RunReport report(config.results_dir + "/run_report.json", log.take_warnings());

  const bool finishes = step == config::RunStep::kRun || step == config::RunStep::kFinalize;
  if (finishes && tiles.size() > 1 && processes.is_first())
    write_diagnostic("a file for the overlaps of the tiles", log,
                     [&] { context.spill = std::make_shared<SpillFile>(config.results_dir); });

  int exit = 0;
  bool interrupted = false;
  std::vector<Json> entries;  // of the page of the batch
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    if (tiles.size() > 1) log.info(fmt::format("tile {} of {}: {}", i + 1, tiles.size(), tiles[i]));
    if (context.masks) context.masks->expect(std::span(tiles).subspan(i + 1));
    TileRecord record = run_tile(context, tiles[i]);
    if (record.exit_code != 0)
      exit = tiles.size() > 1 ? exit_code(ErrorCode::kTilesFailed) : record.exit_code;
    // A request that came when all was done stops nothing. What listens to the log may stop a tile without one.
    const bool is_asked = any_interrupted(processes);
    interrupted = record.exit_code == exit_code(ErrorCode::kInterrupted) ||
                  (is_asked && (record.exit_code != 0 || i + 1 < tiles.size()));
    if (interrupted) exit = exit_code(ErrorCode::kInterrupted);
    if (interrupted && record.exit_code == 0)
      log.warning(fmt::format("interrupted after {} of {} tiles: start the same command again to go on", i + 1,
                              tiles.size()));
    processes.first_only([&] {
      report.add(std::move(record.report), exit);
      if (tiles.size() > 1 && !record.batch_entry.is_null()) {
        entries.push_back(std::move(record.batch_entry));
        write_batch_page(report.document(), entries, context.config.results_dir, log);
      }
      if (uploads && i + 1 < tiles.size()) upload_results(context, upload, false, exit);
    });
    if (interrupted) break;
    processes.together([&] {
      if (context.masks) context.masks->forget_all_but(std::span(tiles).subspan(i + 1));
    });
  }
  processes.first_only([&] {
    if (tiles.size() > 1 && !interrupted) {
      finish_batch(context, report, exit);
      if (!entries.empty() && write_batch_page(report.document(), entries, context.config.results_dir, log))
        log.info("report of all tiles: " + batch_page_location(context.config.results_dir));
    }
    if (!uploads) return;
    try {
      upload_results(context, upload, true, exit);
    } catch (const Error& error) {
      write_diagnostic("the run report", log, [&] { report.end(exit_code(error.code())); });
      throw;
    }
  });
  return exit;
}

}  // namespace

int run(config::RunConfig config, report::Log& log, config::RunStep step) {
  execution::ProcessGroup alone;
  return run(std::move(config), log, alone, step);
}

int run(config::RunConfig config, report::Log& log, execution::ProcessGroup& processes, config::RunStep step) {
  try {
    int exit = 0;
    with_errors([&] { processes.together([&] { exit = run_checked(config, step, log, processes); }); });
    return exit;
  } catch (const Error& error) {
    log.failure("run_failed", error);
    return exit_code(error.code());
  }
}

}  // namespace flatfield::pipeline
