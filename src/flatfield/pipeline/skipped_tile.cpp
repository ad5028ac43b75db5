#include "flatfield/pipeline/skipped_tile.h"

#include "flatfield/pipeline/low_resolution_mask.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_places.h"

namespace flatfield::pipeline {

bool skip_if_finished(RunContext& context, const std::string& location, TileResult& result) {
  const config::RunConfig& config = context.config;
  // An estimate with --model writes no image.
  if (context.step == config::RunStep::kEstimate && !config.model.empty()) return false;
  const std::string tile = trimmed_location(location);
  const std::string name = location_name(tile);
  const OutputLocations outputs = output_locations(config.output, name);
  TilePlaces places(context, tile, outputs);
  if (!places.release_if_finished()) return false;
  const bool is_first = context.processes.is_first();
  const Json outcome = is_first ? places.finished_outcome() : Json();
  // Other channels of the tile share the mask of the first one, also where that was corrected by an earlier run.
  const bool estimates = context.step == config::RunStep::kEstimate ||
                         (context.step == config::RunStep::kRun && config.model.empty());
  if (context.masks && estimates && is_first)
    adopt_low_resolution_mask(low_resolution_mask_location(config.results_dir, name), name, outcome, context);
  context.log.info("the output is finished already: skipped: " + outputs.corrected);
  result.status = TileStatus::kSkipped;
  result.reason = "the output was finished already";
  if (is_first) take_outcome(outcome, result);
  return true;
}

}  // namespace flatfield::pipeline
