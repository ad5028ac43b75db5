#include "flatfield/pipeline/plan.h"

#include <span>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/plan_report.h"
#include "flatfield/pipeline/run_setup.h"
#include "flatfield/pipeline/tile_plan.h"
#include "flatfield/core/translate_errors.h"

namespace flatfield::pipeline {
namespace {

std::string plan_document(config::RunConfig& config, report::Log& log, bool json) {
  execution::ProcessGroup alone;
  RunSetup setup(config, log, alone);
  setup.read_shared();
  std::string text;
  Json plans = Json::array();
  const std::vector<std::string>& tiles = setup.tiles();
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const auto to_come = std::span(tiles).subspan(i + 1);
    if (setup.context().masks) setup.context().masks->expect(to_come);
    const TilePlan plan = plan_tile(setup.context(), tiles[i], PlanEffort::kProbe);
    if (setup.context().masks) setup.context().masks->forget_all_but({});  // of the probe, not of the run
    text += plan_text(plan);
    plans.push_back(plan_json(plan));
  }
  if (!json) return text;
  Json document;
  document["tiles"] = std::move(plans);
  return document.dump(2) + "\n";
}

}  // namespace

int plan(config::RunConfig config, report::Log& log, bool json, std::string& document) {
  try {
    with_errors([&] { document = plan_document(config, log, json); });
    return 0;
  } catch (const Error& error) {
    log.failure("plan_failed", error);
    return exit_code(error.code());
  }
}

}  // namespace flatfield::pipeline
