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

}  // namespace flatfield::pipeline
