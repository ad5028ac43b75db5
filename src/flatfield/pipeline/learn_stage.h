#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/methods/axis_fit.h"
#include "flatfield/methods/background.h"
#include "flatfield/methods/correction.h"
#include "flatfield/methods/quality_gate.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/foreground_weights.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_levels.h"

namespace flatfield::pipeline {

/// One volume of a tile that is to be learnt from.
struct VolumeRequest {
  const ome::Tile& tile;
  const std::string& location;  ///< of the tile
  const std::string& name;      ///< of the tile
  ome::VolumeId id;
  const TileLevels& levels;
  bool is_shared = false;  ///< the tile has more volumes, which share its mask
};

/// How a BaSiC fit went, for the results directory.
struct LearnedBasic {
  std::vector<std::int64_t> planes;  ///< of the estimation level, which were the frames
  std::vector<float> baseline;       ///< of each frame, counts; empty where it was not asked for
  std::vector<std::int64_t> iterations;  ///< of each solve
  bool converged = false;
};

/// What was learnt about one volume: the correction, and what it was derived from.
struct Learned {
  methods::Correction correction;
  methods::BackgroundPlanes background_planes;  ///< of the estimation level
  std::vector<std::int64_t> target_planes;
  std::shared_ptr<const ForegroundWeights> weights;  ///< foreground probability; null where there is none
  std::optional<methods::AxisFit> fit;
  std::optional<LearnedBasic> basic;
  double global_factor = 0.0;
  bool ratio_clamped = false;
  std::optional<methods::QualityReport> quality;  ///< none where nothing but the background was asked for
  std::string fallback;  ///< why only the background is subtracted; "" if nothing fell back
  std::string label;     ///< "t0_c1", what is said of the volume begins with it; "" where its tile has no other
  std::vector<std::string> warnings;  ///< of learning, as the log has them
};

/// Text about a volume, which names it where its tile has several.
[[nodiscard]] std::string said_of(const Learned& learned, const std::string& text);
/// Warns of something that was found while a volume was learnt from, and keeps it: who corrects with it later says it again.
void note_warning(Learned& learned, const std::string& text, report::Log& log);

/// Learns the correction of one volume from its estimation level and, for the background image, some
/// planes of its target level. Throws Error.
[[nodiscard]] Learned learn(const VolumeRequest& request, RunContext& context);

}  // namespace flatfield::pipeline
