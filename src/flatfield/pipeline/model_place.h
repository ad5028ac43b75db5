#pragma once

#include <memory>
#include <string>

#include "flatfield/core/extent.h"
#include "flatfield/core/json.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/storage/store.h"

namespace flatfield::pipeline {

/// The object that holds a model, or will.
struct ModelPlace {
  std::shared_ptr<storage::Store> store;
  std::string key;
};

/// That of --model for a tile.
[[nodiscard]] ModelPlace given_model_place(RunContext& context, const std::string& tile_name);
/// As the first process sees it: the answer is the same in all.
[[nodiscard]] bool holds_model(const ModelPlace& place, RunContext& context);

/// The tile that a model is to correct.
struct ModelTarget {
  const std::string& location;
  const std::string& name;
  const std::string& output;  ///< location of its corrected image
  Extent3 shape;
  ome::VolumeId volumes;  ///< how many it has
};
/// Reads a model for a tile, and logs which it is and in what it is of another one. Throws Error(kUsage) if it is for
/// another number of volumes, and what read_model throws.
[[nodiscard]] TileModel load_model(const ModelPlace& from, const ModelTarget& target, RunContext& context);
/// A model says itself how its tile was learnt from. Throws Error(kUsage) where the options leave out a correction that it
/// has; of others that would have it otherwise, `options` being those of this run, the log says that they have no effect.
void check_options(const TileModel& model, const Json& options, RunContext& context);
/// Puts the options that the model was learnt with into those of a run, as its provenance has them.
void take_learning_options(const TileModel& model, Json& options);
/// What a model is known by in the fingerprint of an output that is corrected with it.
[[nodiscard]] Json model_identity(const ModelPlace& place);

}  // namespace flatfield::pipeline
