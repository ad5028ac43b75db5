#pragma once

#include "flatfield/pipeline/estimation_level.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {

/// The fitting method on one volume (docs/methods.md 4) from its estimation level. Leaves `learned` with background subtraction only, and says why, where there is nothing to fit.
void learn_axis_curves(const VolumeRequest& request, EstimationLevel& level, RunContext& context,
                       Learned& learned);

}  // namespace flatfield::pipeline
