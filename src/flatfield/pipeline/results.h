#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "flatfield/core/json.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/learn_stage.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// Name that the files of a volume start with: the tile's name, and "_t0_c1" where the tile has several volumes.
[[nodiscard]] std::string volume_label(const std::string& tile_name, ome::VolumeId id,
                                       ome::VolumeId counts);

/// Writes what is only for people to look at: where it cannot be written, whatever `write` throws, that is a warning, and
/// the run goes on. Throws Error(kInterrupted) only.
void write_diagnostic(std::string_view what, report::Log& log, const std::function<void()>& write);

/// --save-outputs: background image, background planes and correction curves of a volume.
void save_learned(const std::string& results_dir, const std::string& label, const Learned& learned);

/// Removes what save_learned and save_curve_plots of an earlier run have left of a volume. Throws Error(kWriteFailed).
void remove_learned(const std::string& results_dir, const std::string& label);

/// --dump-learned: every quantity that was learnt as NAME.npy, for tests.
void dump_learned(const std::string& folder, const Learned& learned);

}  // namespace flatfield::pipeline
