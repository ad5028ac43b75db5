#pragma once

#include "flatfield/config/option_table.h"
#include "flatfield/config/run_config.h"

namespace flatfield::config {

/// The options of `run` that say how objects on S3 are read, for commands that write nothing there.
[[nodiscard]] const OptionTable<RunConfig>& s3_reading_table();

}  // namespace flatfield::config
