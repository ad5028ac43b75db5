#pragma once

#include <string>

#include "flatfield/pipeline/learn_stage.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// --save-outputs: PREFIX_corr_xy.png, PREFIX_corr_xz.png and PREFIX_corr_yz.png with the
/// correction curves along x, y and z: the curve over the voxels of the volume, the profile of the
/// estimation level that it follows, its limits. None for an axis that is not corrected.
/// `title_name` is the volume as the title names it. A diagram that cannot be drawn or written is a
/// warning.
void save_curve_plots(const std::string& prefix, const std::string& title_name,
                      const Learned& learned, report::Log& log);

}  // namespace flatfield::pipeline
