#pragma once

#include "flatfield/core/json.h"
#include "flatfield/pipeline/estimation_level.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {

/// Measures and judges the correction that was learnt from the estimation level; says in the log what came out. Leaves
/// `learned.quality` empty where only the background is subtracted.
void learn_quality(EstimationLevel& level, RunContext& context, Learned& learned);

/// The QC block of the run report for a volume: {"verdict", "reasons", "level", "mask", "pedestal",
/// "numbers"}, where a number is {"value", "verdict", "warn", "fail"}; null if nothing was
/// measured.
[[nodiscard]] Json quality_json(const Learned& learned, const TileLevels& levels,
                                double pedestal_counts);

}  // namespace flatfield::pipeline
