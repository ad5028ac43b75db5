#pragma once

#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// Where the reference background of a tile may be (--use-reference-bkg), in the order they are tried: names made of
/// the digits of the tile's own name, in the folder `derivatives/` two parents above the tile (docs/methods.md 1).
[[nodiscard]] std::vector<std::string> reference_background_places(const std::string& tile_location);

/// The first of these files that is there; none if none is.
[[nodiscard]] std::optional<std::string> find_reference_background(const std::string& tile_location,
                                                                   storage::StoreOpener& stores);

/// That file as a (1, y, x) plane. Throws Error(kNotFound) that lists the names tried,
/// Error(kUsage) if the tile's name holds no identifier to make names of, or what the TIFF reader throws.
struct ReferenceBackground {
  std::string path;
  Block<float> image;
};
[[nodiscard]] ReferenceBackground read_reference_background(const std::string& tile_location,
                                                            storage::StoreOpener& stores);

}  // namespace flatfield::pipeline
