#pragma once

#include <string>
#include <vector>

#include "flatfield/config/run_config.h"
#include "flatfield/execution/memory_budget.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/report/log.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// What a run, a step of it or its plan needs before the first tile: the tiles it is about, workers, memory, stores.
class RunSetup {
 public:
  /// Checks the configuration, and completes it. All must outlive this. Throws Error(kUsage).
  RunSetup(config::RunConfig& config, report::Log& log, execution::ProcessGroup& processes,
           config::RunStep step = config::RunStep::kRun);

  /// Reads what all tiles need, once, before the first of them. Throws Error.
  void read_shared();

  /// In the order they are corrected.
  [[nodiscard]] const std::vector<std::string>& tiles() const { return tiles_; }
  [[nodiscard]] RunContext& context() { return context_; }

 private:
  std::vector<std::string> tiles_;
  execution::ThreadPool pool_;
  execution::MemoryBudget memory_;
  execution::MemoryBudget::Reservation process_;
  storage::StoreOpener stores_;
  RunContext context_;
};

}  // namespace flatfield::pipeline
