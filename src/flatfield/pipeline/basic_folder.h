#pragma once

#include "flatfield/config/basic_folder_config.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// Fits BaSiC to the images of a folder (uint8, uint16, float32 or float64 TIFF, one image each, all of one shape) and
/// corrects them: OUTPUT/NAME for each, OUTPUT/flatfield.tif and darkfield.tif (float32), and OUTPUT/basic_report.json
/// with the options, the baseline of each image of the fit, the solves, and the flatfield's quality numbers. The fit uses
/// all images, or max_frames of them evenly spaced: these (and their weights) are held in memory, as float32, until it is
/// done. Afterwards each worker holds one image at a time.
/// Throws Error, with kBadInput where the flatfield is not greater than 0 everywhere. What is there already is removed, and
/// anything written, only when the fit is done; the report is written last.
void correct_folder(const config::BasicFolderConfig& config, report::Log& log);

}  // namespace flatfield::pipeline
