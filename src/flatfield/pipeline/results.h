#pragma once

#include <string>

#include "flatfield/core/json.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {

/// Name that the files of a volume start with: the tile's name, and "_t0_c1" where the tile has several volumes.
[[nodiscard]] std::string volume_label(const std::string& tile_name, ome::VolumeId id,
                                       ome::VolumeId counts);

/// --save-outputs: background image, background planes and correction curves of a volume.
void save_learned(const std::string& results_dir, const std::string& label, const Learned& learned);

/// --dump-learned: every quantity that was learnt as NAME.npy, for tests.
void dump_learned(const std::string& folder, const Learned& learned);

}  // namespace flatfield::pipeline
