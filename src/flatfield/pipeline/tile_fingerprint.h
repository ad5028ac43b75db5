#pragma once

#include <string>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_levels.h"
#include "flatfield/storage/store.h"

namespace flatfield::pipeline {

/// Another output of the same input and options has another number: to be raised with every change of the
/// maths, of items or of what is written.
inline constexpr int kOutputFormat = 6;

/// What the tile is known by without reading it: its metadata, and size and time (or ETag) of some chunks of the
/// levels that are read, spread over them.
[[nodiscard]] Json tile_identity(const ome::Tile& tile, const TileLevels& levels);

/// What to warn of where none of the chunks that an identity looks for is there; "" where one is.
[[nodiscard]] std::string lack_of_chunks(const Json& identity);

/// What of a tile is not as an identity says, for people; "" if nothing is. A chunk that is not there is one of the fill
/// value, so what was moved away meanwhile would pass for black voxels.
[[nodiscard]] std::string tile_change(const Json& identity, const ome::Tile& tile, const TileLevels& levels);

/// What the output of a tile depends on: options, the tile, the other files that are learnt from, and the format of the
/// output. With a model, what that was learnt from does not matter any more: `model` says which it is, or is null.
[[nodiscard]] Json tile_fingerprint(RunContext& context, const std::string& location, const Json& identity,
                                    const Json& model);

/// Notes that a chunk of the tile could not be read (`where` as its store describes it): nothing was made of it, and so it
/// may be another when a run goes on. Returns whether the fingerprint knows the chunk.
bool note_unreadable(Json& fingerprint, const storage::Store& tile, const std::string& where);

/// What differs between two fingerprints, e.g. "options.n_levels: 3 before, 4 now"; nothing if they are the same.
[[nodiscard]] std::vector<std::string> fingerprint_differences(const Json& before, const Json& now);

}  // namespace flatfield::pipeline
