#pragma once

#include "flatfield/pipeline/image_streaming.h"
#include "flatfield/pipeline/input_tile.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/pipeline/tile_outputs.h"
#include "flatfield/pipeline/tile_places.h"

namespace flatfield::pipeline {

/// Of a tile: from where its images are written, to where, and how.
struct TilePasses {
  RunContext& context;
  const InputTile& input;
  TilePlaces& places;
  const TileOutputs& plans;
  ImageStreaming& streaming;
};

/// The first passes over the corrected volumes and the mask, as far as their items belong to the run's share. Makes the
/// model applicable to them.
void write_corrected(const TilePasses& passes, TileModel& model);

/// The first passes over the foreground probability of each volume. Releases each volume's weights afterwards.
void write_probability(const TilePasses& passes, TileModel& model, const MemoryFacts& memory);
/// The probability of a volume, ready to be written.
[[nodiscard]] PyramidTarget probability_target(const TilePasses& passes, ome::VolumeId id);
/// Whether the model has a probability of which not all first passes are done: objects were lost, or all of it was removed.
/// Found by the first process; the answer is the same in all.
[[nodiscard]] bool lacks_probability(const TilePasses& passes, const TileModel& model);

}  // namespace flatfield::pipeline
