#pragma once

#include "flatfield/core/block.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {

/// The fitting method on one volume (algorithms.md 4): `low` is its estimation level, `v_low` the same without the
/// background. Leaves `learned` with background subtraction only, and says why, where there is nothing to fit.
void learn_axis_curves(const VolumeRequest& request, const Block<float>& low, const Block<float>& v_low,
                       RunContext& context, Learned& learned);

}  // namespace flatfield::pipeline
