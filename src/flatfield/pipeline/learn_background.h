#pragma once

#include "flatfield/core/block.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {

/// Selects the background planes of an estimation level (algorithms.md 1.1-1.4) into `learned`.
void learn_background_planes(const Block<float>& low, RunContext& context, Learned& learned);

/// The background image of a volume (algorithms.md 1): the median of the target planes that the chosen background
/// planes cover, or, with --use-reference-bkg, an image that lies beside the tile.
void learn_background_image(const VolumeRequest& request, const Block<float>& low, RunContext& context,
                            Learned& learned);

}  // namespace flatfield::pipeline
