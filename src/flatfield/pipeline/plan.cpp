#include "flatfield/pipeline/plan.h"

#include <span>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/plan_report.h"
#include "flatfield/pipeline/run_setup.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_plan.h"
#include "flatfield/core/translate_errors.h"

namespace flatfield::pipeline {
namespace {

/// What is planned for the tiles, as text and as JSON.
struct Plans {
  std::string text;
  Json tiles = Json::array();
  bool some_failed = false;
};

/// Of several tiles, one that a run would fail at does not keep the others from their plans, as in a run.
Plans plan_tiles(config::RunConfig& config, report::Log& log) {
  execution::ProcessGroup alone;
  RunSetup setup(config, log, alone);
  setup.read_shared();
  Plans plans;
  const std::vector<std::string>& tiles = setup.tiles();
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const auto to_come = std::span(tiles).subspan(i + 1);
    if (setup.context().masks) setup.context().masks->expect(to_come);
    try {
      with_errors([&] {
        const TilePlan plan = plan_tile(setup.context(), tiles[i], PlanEffort::kProbe);
        plans.text += plan_text(plan);
        plans.tiles.push_back(plan_json(plan));
      });
    } catch (const Error& error) {
      if (tiles.size() == 1 || error.code() == ErrorCode::kInterrupted) throw;
      log.failure("plan_failed", error);
      plans.text += location_name(tiles[i]) + ": no plan, as a run would fail: " + error.what() + "\n";
      Json failed;
      failed["tile"] = location_name(tiles[i]);
      failed["error"] = error.what();
      plans.tiles.push_back(std::move(failed));
      plans.some_failed = true;
    }
    if (setup.context().masks) setup.context().masks->forget_all_but({});  // of the probe, not of the run
  }
  return plans;
}

}  // namespace

int plan(config::RunConfig config, report::Log& log, bool json, std::string& document) {
  int exit = 0;
  try {
    with_errors([&] {
      Plans plans = plan_tiles(config, log);
      if (json) {
        Json all;
        all["tiles"] = std::move(plans.tiles);
        plans.text = all.dump(2) + "\n";
      }
      document = std::move(plans.text);
      if (plans.some_failed) exit = exit_code(ErrorCode::kTilesFailed);
    });
    return exit;
  } catch (const Error& error) {
    log.failure("plan_failed", error);
    return exit_code(error.code());
  }
}

}  // namespace flatfield::pipeline
