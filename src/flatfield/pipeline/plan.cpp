#include "flatfield/pipeline/plan.h"

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
  for (const std::string& tile : setup.tiles()) {
    const TilePlan plan = plan_tile(setup.context(), tile, PlanEffort::kProbe);
    if (setup.context().masks) setup.context().masks->forget_all_but({});
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
