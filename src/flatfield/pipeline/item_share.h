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

/// The results directory of a share. Shares may run at the same time with the same options: each has results of its own.
[[nodiscard]] std::string results_folder(const std::string& results_dir, const Share& share);
/// The results directory of all shares, of which `folder` is the results_folder of one.
[[nodiscard]] std::string results_root(const std::string& folder, const Share& share);

}  // namespace flatfield::pipeline
