#pragma once

#include <optional>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/json.h"
#include "flatfield/pipeline/estimation_level.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {

/// Measures and judges the correction that was learnt from the estimation level, that of the background alone too where the
/// method found nothing else; says in the log what came out. `mask`, of the level: the one that the method worked with where
/// the correction holds none.
void learn_quality(const std::optional<BitVolume>& mask, EstimationLevel& level, RunContext& context, Learned& learned);

/// The QC block of the run report for a volume: {"verdict", "reasons", "level", "mask", "pedestal",
/// "numbers"}, where a number is {"value", "verdict", "warn", "fail"}; null if nothing was
/// measured.
[[nodiscard]] Json quality_json(const Learned& learned, const TileLevels& levels,
                                double pedestal_counts);

}  // namespace flatfield::pipeline
