#pragma once

#include <string>

#include "flatfield/core/environment.h"
#include "flatfield/pipeline/volume_stage.h"

namespace flatfield::pipeline {

/// The share that --part names: "" (everything), "I/N" with I from 0, "auto" or "auto/N". With auto, I is the place of this
/// task in the array job that it belongs to, and N the number of its tasks, as the scheduler says in
/// SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT, or in AWS_BATCH_JOB_ARRAY_INDEX and _SIZE; N of "auto/N" is taken where
/// the scheduler says none. Throws Error(kUsage).
[[nodiscard]] Share parse_share(const std::string& part, const Environment& environment = process_environment);

}  // namespace flatfield::pipeline
