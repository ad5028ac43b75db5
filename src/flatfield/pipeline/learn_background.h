#pragma once

#include "flatfield/pipeline/estimation_level.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {

/// Selects the background planes of an estimation level (docs/methods.md 1, steps 1 to 4) into `learned`.
void learn_background_planes(EstimationLevel& level, RunContext& context, Learned& learned);

/// The planes of level `to` of a tile that cover the given planes of level `from`. Throws Error(kBadInput) for levels
/// without a scale.
[[nodiscard]] std::vector<std::int64_t> target_planes(const ome::Tile& tile, const std::string& from,
                                                      const std::string& to,
                                                      const std::vector<std::int64_t>& planes);

/// The background image of a volume (docs/methods.md 1): the median of the target planes that the chosen background
/// planes cover, or, with --use-reference-bkg, an image that lies beside the tile.
void learn_background_image(const VolumeRequest& request, EstimationLevel& level, RunContext& context,
                            Learned& learned);

}  // namespace flatfield::pipeline
