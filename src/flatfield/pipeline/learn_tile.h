#pragma once

#include <functional>
#include <string>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_levels.h"
#include "flatfield/pipeline/tile_model.h"

namespace flatfield::pipeline {

/// A tile that is to be learnt from.
struct LearnRequest {
  const ome::Tile& tile;
  const std::string& location;
  const std::string& name;
  const TileLevels& levels;
  ome::VolumeId volumes;  ///< how many it has
};

/// --model: warns of what the quality numbers of its volumes say, which holds wherever it is used, and does what
/// --on-qc-fail says of those that fail. Throws Error(kQualityFailed) where that says so.
void judge_model(TileModel& model, RunContext& context);

/// What is learnt from each volume of a tile, judged: everything that can go wrong before a voxel is written. `on_learned`
/// is given each volume before --on-qc-fail decides what becomes of a correction whose quality numbers fail. Throws
/// Error, with kQualityFailed where that says so.
[[nodiscard]] std::vector<ModelVolume> learn_tile(const LearnRequest& request, RunContext& context,
                                                  const std::function<void(ModelVolume&)>& on_learned);

}  // namespace flatfield::pipeline
