#include "flatfield/pipeline/view_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include "flatfield/core/error.h"
#include "flatfield/core/parallel.h"
#include "flatfield/numerics/percentile.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/level_reader.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/preview.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_result.h"
#include "flatfield/storage/uri_text.h"

namespace flatfield::pipeline {
namespace {

constexpr double kDarkPercentile = 1.0;
constexpr double kBrightPercentile = 99.8;
constexpr std::int64_t kMostChunks = 64;                     ///< of a sample
constexpr std::int64_t kMostVoxels = std::int64_t{1} << 18;  ///< of each chunk of a sample
constexpr double kViewPixels = 900.0;                        ///< that the longer side of an image should take

const char* shader_of(LayerKind kind) {
  if (kind == LayerKind::kMask)
    return "#uicontrol invlerp normalized\nvoid main() { emitRGBA(vec4(1.0, 0.25, 0.2, normalized())); }\n";
  return "#uicontrol invlerp normalized\nvoid main() { emitGrayscale(normalized()); }\n";
}

bool is_finished(const std::string& location, storage::StoreOpener& stores) {
  try {
    return output_state(*stores.open(location)) == OutputState::kFinished;
  } catch (const Error&) {
    return false;
  }
}

/// What a corrected image says of the run that it comes of.
struct Origin {
  std::string input;   ///< the tile that was corrected; "" = it does not say
  std::string output;  ///< --output; "" = it does not say
  bool has_mask = false;  ///< a mask was written with it, for certain
  bool has_probability = false;
};

std::string text_in(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

bool is_true_in(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value != nullptr && *value == Json(true);
}

Origin origin_of(const std::string& image, storage::StoreOpener& stores) {
  Origin origin;
  const Json attributes = ome::Tile::open(stores.open(image)).attributes();
  const Json* record = attributes.find("exaspim_flatfield");
  if (record == nullptr) return origin;
  const Json* code = record->find("code");  // the record of --metadata-schema 1 has none
  const Json* parameters = (code != nullptr ? code : record)->find("parameters");
  if (parameters == nullptr) return origin;
  origin.input = text_in(*parameters, "zarr");
  origin.output = text_in(*parameters, "output");
  // What only its background was subtracted from may have been written with a mask or without.
  const Json* outcome = attributes.find(kOutcomeKey);
  const bool is_corrected = outcome != nullptr && text_in(*outcome, "status") == status_name(TileStatus::kCorrected);
  origin.has_mask = is_corrected && text_in(*parameters, "method") == "fitting" && !is_true_in(*parameters, "skip_flat_field");
  const Json* fitting = parameters->find("fitting");
  origin.has_probability = origin.has_mask && fitting != nullptr && is_true_in(*fitting, "enable_gmm_refinement") &&
                           text_in(*parameters, "model").empty();  // a model holds no probability
  return origin;
}

/// Where a run puts what lies beside a corrected image: --output is the folder of that, or the image itself. One place where
/// the image says which, else both.
std::vector<OutputLocations> places_beside(const std::string& image, const Origin& origin) {
  const std::string place = absolute_location(image);
  const std::string name = location_name(place);
  std::vector<OutputLocations> places;
  const bool is_output = location_name(trimmed_location(origin.output)) == name;
  if (origin.output.empty() || !is_output) places.push_back(output_locations(location_parent(place), name));
  if (origin.output.empty() || is_output) places.push_back(output_locations(place, name));
  return places;
}

/// Opens as an image, whoever has written it.
bool is_image(const std::string& location, storage::StoreOpener& stores) {
  try {
    static_cast<void>(ome::Tile::open(stores.open(location)));
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Names of the finished images directly in a folder.
std::vector<std::string> images_in(const std::string& folder, storage::StoreOpener& stores) {
  std::vector<std::string> found;
  for (std::string name : stores.open(folder)->list("")) {
    if (!name.ends_with('/')) continue;
    name.pop_back();
    if (is_finished(join_location(folder, name), stores)) found.push_back(name);
  }
  return found;
}

/// Smallest and largest value that are told apart, of one channel.
std::pair<double, double> contrast(const ome::Tile& image, ome::VolumeId id, LayerKind kind) {
  if (kind == LayerKind::kMask || kind == LayerKind::kProbability) return {0.0, 1.0};
  const ome::Volume volume = image.open_volume(image.multiscale().levels.back().path, id);
  const Extent3 grid = ceil_div(volume.shape(), volume.chunk_shape());
  const std::int64_t chunks = std::min(grid.volume(), kMostChunks);
  std::vector<double> values;
  for (std::int64_t i = 0; i < chunks; ++i) {
    Box3 box = tile_box(unravel(i * grid.volume() / chunks, grid), volume.chunk_shape(), volume.shape());
    while (box.shape.volume() > kMostVoxels) {  // the middle of it
      const int axis = box.shape.z >= box.shape.y && box.shape.z >= box.shape.x ? 0 : box.shape.y >= box.shape.x ? 1 : 2;
      box.origin[axis] += box.shape[axis] / 4;
      box.shape[axis] -= box.shape[axis] / 2;
    }
    const Block<float> voxels = read_box_as_float(volume, box, serial_for);
    values.insert(values.end(), voxels.span().begin(), voxels.span().end());
  }
  if (values.empty()) return {0.0, 1.0};
  const double lo = numerics::percentile(std::span<double>(values), kDarkPercentile);
  const double hi = numerics::percentile(std::span<double>(values), kBrightPercentile);
  return {lo, std::max(hi, lo + 1.0)};
}

/// Labels of the channels of an image; "" where there are none.
std::string channel_label(const Json& attributes, std::int64_t channel) {
  const Json* omero = attributes.find("omero");
  if (const Json* ome = attributes.find("ome"); omero == nullptr && ome != nullptr) omero = ome->find("omero");
  const Json* channels = omero == nullptr ? nullptr : omero->find("channels");
  if (channels == nullptr || !channels->is_array() || channel >= static_cast<std::int64_t>(channels->as_array().size())) return "";
  const Json* label = channels->as_array()[static_cast<std::size_t>(channel)].find("label");
  return label != nullptr && label->is_string() ? label->as_string() : "";
}

Json numbers(std::initializer_list<double> values) { return Json(Json::Array(values.begin(), values.end())); }

Json layer_json(const ViewLayer& layer, const ome::Tile& image, std::int64_t channel, std::int64_t channels,
                const std::string& url) {
  const auto [lo, hi] = contrast(image, {0, channel}, layer.kind);
  std::string name = layer.name;
  const std::string label = channel_label(image.attributes(), channel);
  if (channels > 1 && layer.kind == LayerKind::kPreview)
    name = label;
  else if (channels > 1)
    name += " " + (label.empty() ? fmt::format("channel {}", channel) : label);
  Json json;
  json["type"] = "image";
  json["source"] = fmt::format("zarr://{}/{}/", url, storage::encode_path(layer.route));
  json["name"] = name;
  if (image.multiscale().axis("c")) {
    // What Neuroglancer calls the channel axis of an OME-Zarr: an axis of the layer alone.
    json["localDimensions"]["c'"] = Json(Json::Array{Json(1), Json("")});
    json["localPosition"] = numbers({static_cast<double>(channel)});
  }
  json["shader"] = shader_of(layer.kind);
  json["shaderControls"]["normalized"]["range"] = numbers({lo, hi});
  json["opacity"] = layer.kind == LayerKind::kMask || layer.kind == LayerKind::kProbability ? 0.35 : 1.0;
  json["blend"] = "default";
  json["visible"] = layer.visible;
  return json;
}

void add_output(const std::string& location, const std::string& input, bool several, storage::StoreOpener& stores,
                std::vector<std::string>& notes, std::vector<ViewLayer>& layers) {
  const std::string name = location_name(location);
  const std::string prefix = several ? name + " " : "";
  const auto add = [&](const std::string& what, const std::string& where, LayerKind kind, bool visible) {
    layers.push_back({prefix + what, name + "/" + what, where, kind, visible});
  };
  if (is_preview(location)) {
    add("preview", location, LayerKind::kPreview, true);
    return;
  }
  const Origin origin = origin_of(location, stores);
  const std::string& from = input.empty() ? origin.input : input;
  if (from.empty())
    notes.push_back("nothing says what " + name + " was made of: name it with --input");
  else if (is_image(from, stores))
    add("input", from, LayerKind::kGrey, false);
  else
    notes.push_back("the input is not at " + from + " (seen from here): name it with --input");
  add("corrected", location, LayerKind::kGrey, true);
  const std::vector<OutputLocations> places = places_beside(location, origin);
  const auto add_product = [&](const std::string& what, std::string OutputLocations::*place, LayerKind kind, bool visible,
                               bool was_written) {
    std::string looked_at;
    for (const OutputLocations& at : places) {
      if (is_finished(at.*place, stores)) return add(what, at.*place, kind, visible);
      looked_at += (looked_at.empty() ? "" : " or ") + at.*place;
    }
    if (was_written) notes.push_back("the " + what + " that was written with " + name + " is not at " + looked_at);
  };
  add_product("mask", &OutputLocations::mask, LayerKind::kMask, true, origin.has_mask);
  add_product("probability", &OutputLocations::probability, LayerKind::kProbability, false, origin.has_probability);
}

}  // namespace

std::vector<ViewLayer> find_layers(const std::string& output, const std::string& input, storage::StoreOpener& stores,
                                   std::vector<std::string>& notes) {
  const std::string location = trimmed_location(named_location(output));
  std::vector<ViewLayer> layers;
  if (is_finished(location, stores)) {
    add_output(location, input, false, stores, notes, layers);
    return layers;
  }
  const std::vector<std::string> names = images_in(location, stores);
  if (names.empty())
    throw Error(ErrorCode::kNotFound, "there is no finished image", location, "name a corrected tile, or the folder of some");
  if (!input.empty() && names.size() > 1)
    throw Error(ErrorCode::kUsage, "--input is for one tile, and there are several", location, "name one of them");
  for (const std::string& name : names)
    add_output(join_location(location, name), input, names.size() > 1, stores, notes, layers);
  return layers;
}

Json neuroglancer_state(const std::vector<ViewLayer>& layers, const std::string& url, storage::StoreOpener& stores) {
  Json all = Json::array();
  std::vector<double> scale;
  std::array<double, 3> lo{};
  std::array<double, 3> hi{};
  for (const ViewLayer& layer : layers) {
    const ome::Tile image = ome::Tile::open(stores.open(layer.location));
    const ome::Level& finest = image.multiscale().levels.front();
    const std::vector<double> own_scale = image.output_scale(finest);
    const std::vector<double> translation = image.output_translation(finest);
    const Extent3 shape = image.spatial_shape(finest.path);
    const bool is_first = scale.empty();
    if (is_first) scale = own_scale;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double begin = translation[axis + 2];
      const double end = begin + static_cast<double>(shape[static_cast<int>(axis)]) * own_scale[axis + 2];
      lo[axis] = is_first ? begin : std::min(lo[axis], begin);
      hi[axis] = is_first ? end : std::max(hi[axis], end);
    }
    const std::int64_t channels = image.volume_counts(image.open_array(finest.path)).c;
    for (std::int64_t c = 0; c < channels; ++c) all.push_back(layer_json(layer, image, c, channels, url));
  }
  Json state;
  Json position = Json::array();
  double widest = 0.0;
  for (const std::size_t axis : {2, 1, 0}) {  // x, y, z
    const double voxel = scale[axis + 2];
    state["dimensions"][std::string(1, "zyx"[axis])] = Json(Json::Array{Json(voxel * 1e-6), Json("m")});
    position.push_back(Json((lo[axis] + hi[axis]) / 2.0 / voxel));
    widest = std::max(widest, (hi[axis] - lo[axis]) / scale[4]);
  }
  state["position"] = std::move(position);
  state["crossSectionScale"] = std::max(1e-3, widest / kViewPixels);
  state["projectionScale"] = widest * 1.5;
  state["layers"] = std::move(all);
  state["layout"] = "4panel";
  state["title"] = location_name(layers.front().location);
  return state;
}

}  // namespace flatfield::pipeline
