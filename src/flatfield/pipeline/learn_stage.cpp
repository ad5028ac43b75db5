#include "flatfield/pipeline/learn_stage.h"

#include <fmt/format.h>

#include "flatfield/core/error.h"
#include "flatfield/methods/reference_flatfield.h"
#include "flatfield/pipeline/estimation_level.h"
#include "flatfield/pipeline/learn_background.h"
#include "flatfield/pipeline/learn_basic.h"
#include "flatfield/pipeline/learn_curves.h"
#include "flatfield/pipeline/learn_quality.h"
#include "flatfield/pipeline/pass_memory.h"
#include "flatfield/pipeline/tile_model.h"

namespace flatfield::pipeline {
namespace {

void learn_reference(RunContext& context, Learned& learned) {
  const Extent3& shape = learned.correction.shape;
  try {
    learned.correction.image.emplace(
        methods::reference_flatfield(context.flatfield_image->view(), shape.y, shape.x,
                                     context.pool.as_parallel_for()),
        std::nullopt);
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), context.config.flatfield_path,
                "make it again, or choose another --flatfield-path");
  }
}

}  // namespace

std::string said_of(const Learned& learned, const std::string& text) {
  return learned.label.empty() ? text : learned.label + ": " + text;
}

void note_warning(Learned& learned, const std::string& text, report::Log& log) {
  learned.warnings.push_back(said_of(learned, text));
  log.warning(learned.warnings.back());
}

Learned learn(const VolumeRequest& request, RunContext& context) {
  const config::RunConfig& config = context.config;
  const ParallelFor parallel_for = context.pool.as_parallel_for();
  Learned learned;
  if (request.is_shared) learned.label = volume_key(request.id);
  const zarr::Array target = request.tile.open_array(request.levels.target);
  learned.correction.shape = spatial(target.metadata().shape);
  // A camera's offset is a background that is the same everywhere.
  if (config.skip_bkg_sub && config.pedestal > 0.0)
    learned.correction.background = Block<float>({1, learned.correction.shape.y, learned.correction.shape.x},
                                                 static_cast<float>(config.pedestal));
  if (config.skip_bkg_sub && config.skip_flat_field) return learned;

  const bool fits = config.method == "fitting" && !config.skip_flat_field;
  EstimationLevel level(request.tile.open_volume(request.levels.estimation, request.id), context, fits,
                        target.metadata(), request.name, request.location);
  if (!config.skip_bkg_sub) learn_background_image(request, level, context, learned);
  if (config.skip_flat_field) return learned;

  level.subtract(learned.correction, parallel_for);
  BasicMask mask;
  if (config.method == "reference") {
    learn_reference(context, learned);
  } else if (config.method == "basicpy") {
    mask = learn_basic(request, level, context, learned);
  } else if (config.method == "fitting") {
    learn_axis_curves(request, level, context, learned);
  } else {
    throw Error(ErrorCode::kInternal, fmt::format("the method \"{}\" was not refused", config.method));
  }
  learn_quality(mask.bits, level, context, learned);
  return learned;
}

}  // namespace flatfield::pipeline
