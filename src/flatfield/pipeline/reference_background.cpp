#include "flatfield/pipeline/reference_background.h"

#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/local_copy.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {
namespace {

std::string derivatives_folder(const std::string& tile_location) {
  // A bare name has parents too: those of the folder that the program runs in.
  return join_location(location_parent(location_parent(absolute_location(tile_location))), "derivatives");
}

}  // namespace

std::vector<std::string> reference_background_places(const std::string& tile_location) {
  const std::string name = location_name(tile_location);
  const auto identifier = tile_identifier(name);
  if (!identifier) return {};
  const auto channel = tile_channel(name);
  const std::string with_channel = *identifier + (channel ? "_ch_" + *channel : "");
  std::vector<std::string> names;
  if (identifier->rfind("tile_x_", 0) == 0) {
    if (channel) names.push_back("bkg_" + with_channel + ".tiff");
    names.push_back("bkg_" + *identifier + ".tiff");
  } else {
    names.push_back(with_channel + "_background_collection.tiff");
  }
  for (std::string& place : names) place = join_location(derivatives_folder(tile_location), place);
  return names;
}

std::optional<std::string> find_reference_background(const std::string& tile_location,
                                                     storage::StoreOpener& stores) {
  for (std::string& place : reference_background_places(tile_location))
    if (const auto [store, key] = stores.open_object(place); store->size(key)) return std::move(place);
  return std::nullopt;
}

ReferenceBackground read_reference_background(const std::string& tile_location,
                                              storage::StoreOpener& stores) {
  const std::vector<std::string> places = reference_background_places(tile_location);
  if (places.empty())
    throw Error(ErrorCode::kUsage, "the tile's name holds no identifier to find its reference background by",
                tile_location, "name it like tile_000001_ch_488.zarr or tile_x_0001_y_0002_z_0000_ch_488.zarr");
  if (const auto found = find_reference_background(tile_location, stores))
    return {*found, with_local_copy(*found, stores, [](const auto& path) { return read_plane_tiff(path); })};
  std::string tried;
  for (const std::string& place : places) tried += (tried.empty() ? "" : ", ") + location_name(place);
  throw Error(ErrorCode::kNotFound, "there is no reference background (tried: " + tried + ")",
              derivatives_folder(tile_location), "leave out --use-reference-bkg, or put the image there");
}

}  // namespace flatfield::pipeline
