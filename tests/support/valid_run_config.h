#pragma once

#include "flatfield/config/run_config.h"

namespace flatfield::config {

/// A configuration that passes all checks.
inline RunConfig valid() {
  RunConfig config;
  config.zarr = "tile_000001_ch_488.zarr";
  config.output = "out";
  config.mask_dir = "masks";
  return config;
}

}  // namespace flatfield::config
