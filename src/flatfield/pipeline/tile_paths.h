#pragma once

#include <optional>
#include <string>

namespace flatfield::pipeline {

// Locations are local paths or URLs; but for `absolute_location`, `named_location` and `lies_within`, the functions of
// this file only take their text apart.

/// A location without trailing slashes.
[[nodiscard]] std::string trimmed_location(const std::string& location);
/// Last component of a location: the name of a tile.
[[nodiscard]] std::string location_name(const std::string& location);
/// The location above; "." for a bare name, and a bucket (or host) itself for one.
[[nodiscard]] std::string location_parent(const std::string& location);
[[nodiscard]] std::string join_location(const std::string& parent, const std::string& name);
/// A local path from the root on, as it is understood wherever it is read; a URL as it is.
[[nodiscard]] std::string absolute_location(const std::string& location);
/// A local path that ends in "." or ".." as one that ends in the name of that folder; others as they are.
[[nodiscard]] std::string named_location(const std::string& location);
/// True if a location is `folder` or lies below it; for local paths over symbolic links too. Neither
/// needs to exist.
[[nodiscard]] bool lies_within(const std::string& location, const std::string& folder);

/// Where the images of a tile go. `--output` OUT is a folder of corrected tiles, or the place of the image itself if it is
/// named like the tile: OUT/TILE or OUT. Mask and probability lie beside OUT: mask/NAME(OUT)/TILE or mask/TILE.
struct OutputLocations {
  std::string corrected;
  std::string mask;
  std::string probability;
};
[[nodiscard]] OutputLocations output_locations(const std::string& output, const std::string& tile_name);

/// "tile_x_N_y_N_z_N" or "tile_N" as it stands in a name; none if it holds neither.
[[nodiscard]] std::optional<std::string> tile_identifier(const std::string& name);
/// Digits after "_ch_" (or "_ch") in a name; none if there are none.
[[nodiscard]] std::optional<std::string> tile_channel(const std::string& name);

}  // namespace flatfield::pipeline
