#pragma once

#include <string>
#include <vector>

#include "flatfield/pipeline/learn_stage.h"
#include "flatfield/report/line_plot.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// The curve along an axis ("z", "y" or "x") over the voxels of the volume, which is not empty, the profile of the
/// estimation level that it follows, and its limits. `title_name` is the volume as the title names it.
[[nodiscard]] report::LinePlot curve_plot(const std::string& axis, const std::string& title_name, const std::vector<float>& curve,
                                          const methods::AxisProfile& fit);

/// --save-outputs: PREFIX_corr_xy.png, PREFIX_corr_xz.png and PREFIX_corr_yz.png with the
/// correction curves along x, y and z. None for an axis that is not corrected. A diagram that cannot be drawn
/// or written is a warning.
void save_curve_plots(const std::string& prefix, const std::string& title_name,
                      const Learned& learned, report::Log& log);

}  // namespace flatfield::pipeline
