#pragma once

#include <string>
#include <vector>

#include "flatfield/zarr/metadata.h"

namespace flatfield::config {

/// Names that --output-codec takes.
[[nodiscard]] std::vector<std::string> output_codec_names();

/// Throws Error(kUsage) unless the codec of this name takes the level.
void check_output_codec_level(const std::string& name, int level);

/// The Zarr compressor that a name of `output_codec_names` stands for; none for "none".
[[nodiscard]] std::vector<zarr::Compressor> output_codec_compressors(const std::string& name, int level);

}  // namespace flatfield::config
