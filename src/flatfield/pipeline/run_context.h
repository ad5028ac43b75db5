#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "flatfield/config/run_config.h"
#include "flatfield/core/block.h"
#include "flatfield/execution/memory_budget.h"
#include "flatfield/execution/process_group.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/pipeline/mask_catalog.h"
#include "flatfield/pipeline/median_summary.h"
#include "flatfield/pipeline/tile_overlap.h"
#include "flatfield/pipeline/volume_stage.h"
#include "flatfield/report/log.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// What the tiles of a run share.
struct RunContext {
  const config::RunConfig& config;
  execution::ThreadPool& pool;
  execution::ProcessGroup& processes;        ///< that do this run together
  report::Log& log;
  storage::StoreOpener& stores;              ///< everything outside the results directory comes from here
  execution::MemoryBudget& memory;           ///< what the run may use, and who holds it
  std::optional<MaskCatalog> masks = {};     ///< where --mask-dir is given
  std::optional<MedianSummary> medians = {};  ///< where --median-summary-path is given
  std::optional<Block<float>> flatfield_image = {};  ///< of method reference, as its file holds it
  std::vector<PlacedTile> placed = {};       ///< the tiles that were corrected so far, for their overlaps
  std::optional<Json> median_summary = {};   ///< the document that `medians` are from
  config::RunStep step = config::RunStep::kRun;
  Share share = {};                          ///< of the items, for apply
  /// Takes the results directory to where it outlasts the machine; for the first process alone. Empty where it need not be.
  std::function<void()> keep_results = {};
  std::shared_ptr<SpillFile> spill = {};     ///< holds the backgrounds of `placed`; none where no overlaps are measured
};

}  // namespace flatfield::pipeline
