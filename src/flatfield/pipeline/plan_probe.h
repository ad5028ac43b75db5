#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flatfield/core/stage_clock.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/foreground_weights.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_levels.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/pipeline/tile_outputs.h"

namespace flatfield::pipeline {

/// What a piece of work took.
struct ProbeCost {
  double cpu_seconds = 0.0;
  double wall_seconds = 0.0;
  double decode_cpu_seconds = 0.0;  ///< of these, reading and decoding
  double encode_cpu_seconds = 0.0;  ///< and encoding and writing
  std::int64_t bytes_read = 0;
  std::int64_t bytes_written = 0;
};

/// What was measured on a small level and on a sample of the tile.
struct Probe {
  std::string learn_level;  ///< the estimation level, or a coarser one where that is large
  double learn_share = 1.0;  ///< voxels of that level by those of the estimation level
  ProbeCost learn;
  std::vector<std::int64_t> background_planes;  ///< of the target level, as learnt from the small one
  double sample_share = 0.0;  ///< voxels of the sample by those of the target level
  ProbeCost corrected;        ///< the sample, with the level after it
  ProbeCost mask;
  ProbeCost probability;  ///< of the whole small level
  ProbeCost report;       ///< the pictures of the small level
};

/// The tile that is to be probed.
struct ProbeRequest {
  const ome::Tile& tile;
  const std::string& location;
  const TileLevels& levels;
  const TileOutputs& outputs;
  LevelPlace level_place = LevelPlace::kStore;  ///< of the estimation level while the probability is computed from it
  ModelVolume* model = nullptr;  ///< given instead of what would be learnt; is made applicable to the target level
};

/// Learns from a small level, corrects a sample of the target level with that or with the model that is given, and writes it
/// to `scratch`, which is removed in the end, also where it fails, and before if a plan was killed there. Throws Error.
[[nodiscard]] Probe probe_tile(RunContext& context, const ProbeRequest& request, const std::string& scratch);

}  // namespace flatfield::pipeline
