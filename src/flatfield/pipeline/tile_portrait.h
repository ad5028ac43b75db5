#pragma once

#include <optional>
#include <string>

#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_levels.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/report/volume_portrait.h"

namespace flatfield::pipeline {

/// What a portrait is taken of.
struct PortraitRequest {
  const ome::Tile& tile;
  std::string level;   ///< that is shown
  std::string target;  ///< that the correction is for
  ome::VolumeId id;
  std::string label;
  std::optional<Box3> region = {};  ///< of the level; none = all of it
};

/// Reads a level of a volume, or a region of it, once, chunk by chunk, and corrects it with what was learnt, as the target level is
/// corrected: the same numbers for any workers. Throws Error, kMemory where there is no room for it.
[[nodiscard]] report::VolumePortrait take_portrait(const PortraitRequest& request, const Learned& learned,
                                                   RunContext& context);
/// What a report shows of a volume; none, with a warning in the log, where that cannot be made: a run goes on without its
/// pictures. Throws Error(kInterrupted).
[[nodiscard]] std::optional<report::VolumePictures> try_pictures(const PortraitRequest& request, const Learned& learned,
                                                                 RunContext& context);

}  // namespace flatfield::pipeline
