#include "flatfield/pipeline/learn_stage.h"

#include <fmt/format.h>

#include "flatfield/core/error.h"
#include "flatfield/methods/reference_flatfield.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/pipeline/learn_background.h"
#include "flatfield/pipeline/learn_basic.h"
#include "flatfield/pipeline/learn_curves.h"
#include "flatfield/pipeline/learn_quality.h"
#include "flatfield/pipeline/level_reader.h"

namespace flatfield::pipeline {
namespace {

/// The background-subtracted estimation level.
Block<float> subtracted(const Block<float>& low, const methods::Correction& correction,
                        const ParallelFor& parallel_for) {
  Block<float> v_low = low.clone();
  if (!correction.background) return v_low;
  const Block<float> background =
      numerics::resize_plane(correction.background->view(), low.shape().y, low.shape().x, parallel_for);
  methods::subtract_background(v_low.view(), background.view(), parallel_for);
  return v_low;
}

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

Learned learn(const VolumeRequest& request, RunContext& context) {
  const config::RunConfig& config = context.config;
  const ParallelFor parallel_for = context.pool.as_parallel_for();
  Learned learned;
  learned.correction.shape = request.tile.spatial_shape(request.levels.target);
  // A camera's offset is a background that is the same everywhere.
  if (config.skip_bkg_sub && config.pedestal > 0.0)
    learned.correction.background = Block<float>({1, learned.correction.shape.y, learned.correction.shape.x},
                                                 static_cast<float>(config.pedestal));
  if (config.skip_bkg_sub && config.skip_flat_field) return learned;

  const Block<float> low =
      read_as_float(request.tile.open_volume(request.levels.estimation, request.id), parallel_for);
  if (!config.skip_bkg_sub) learn_background_image(request, low, context, learned);
  if (config.skip_flat_field) return learned;

  const Block<float> v_low = subtracted(low, learned.correction, parallel_for);
  if (config.method == "reference") {
    learn_reference(context, learned);
  } else if (config.method == "basicpy") {
    learn_basic(request, v_low, context, learned);
  } else {
    learn_axis_curves(request, low, v_low, context, learned);
  }
  learn_quality(low, v_low, context, learned);
  return learned;
}

}  // namespace flatfield::pipeline
