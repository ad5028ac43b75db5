#include "flatfield/ome/ngff_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "flatfield/core/object_reader.h"
#include "flatfield/storage/store.h"

namespace flatfield::ome {
namespace {

/// Units and types of the axes that every output has.
const std::vector<Axis> kOutputAxes{{"t", "time", "millisecond"},
                                    {"c", "channel", ""},
                                    {"z", "space", "micrometer"},
                                    {"y", "space", "micrometer"},
                                    {"x", "space", "micrometer"}};

/// The object that has the members of NGFF, and its place in the attributes of the group: NGFF 0.5
/// keeps them in `ome`, earlier versions side by side with other attributes.
struct Members {
  const Json* object;
  std::string path;
};

Members members_of(const Json& group_attributes) {
  const Json* ome = group_attributes.find("ome");
  if (ome != nullptr && ome->is_object() && group_attributes.find("multiscales") == nullptr)
    return {ome, "ome"};
  return {&group_attributes, ""};
}

/// What NGFF says about a group, in the order in which version 0.5 lists it.
constexpr std::array<std::string_view, 8> kMembers{
    "multiscales", "omero", "labels", "plate", "well", "image-label", "bioformats2raw.layout", "series"};

bool is_ngff(std::string_view key) {
  return std::find(kMembers.begin(), kMembers.end(), key) != kMembers.end();
}

/// Attributes of a group by who says what.
struct PartedAttributes {
  Json ngff = Json::object();    ///< what NGFF names
  Json in_ome = Json::object();  ///< what others keep in `ome`
  Json others = Json::object();
};

PartedAttributes part_attributes(const Json& group_attributes) {
  PartedAttributes parts;
  if (group_attributes.is_null()) return parts;
  const auto take = [&](const Json& object) {
    for (const auto& [key, value] : object.as_object())
      if (is_ngff(key) && !value.is_null() && parts.ngff.find(key) == nullptr) parts.ngff[key] = value;
  };
  take(*members_of(group_attributes).object);
  // What stands in the other place counts where the first says nothing.
  take(group_attributes);
  if (const Json* ome = group_attributes.find("ome"); ome != nullptr && ome->is_object()) take(*ome);
  for (const auto& [key, value] : group_attributes.as_object()) {
    if (key == "ome" && value.is_object()) {
      for (const auto& [inner, member] : value.as_object())
        if (!is_ngff(inner) && inner != "version") parts.in_ome[inner] = member;
    } else if (!is_ngff(key)) {
      parts.others[key] = value;
    }
  }
  return parts;
}

/// NGFF before 0.3 has no axes: images are t, c, z, y, x. In 0.3 they are plain names.
std::vector<Axis> read_axes(const ObjectReader& image) {
  if (!image.has("axes")) return kOutputAxes;
  std::vector<Axis> axes;
  std::set<std::string> names;
  std::size_t index = 0;
  for (const Json& entry : image.get_array("axes")) {
    const std::string path = fmt::format("{}[{}]", image.path_of("axes"), index++);
    Axis axis;
    if (entry.is_string()) {
      axis.name = entry.as_string();
    } else {
      const ObjectReader reader(entry, image.where(), path);
      axis.name = reader.get_string("name");
      if (reader.optional("type") != nullptr) axis.type = reader.get_string("type");
      if (reader.optional("unit") != nullptr) axis.unit = reader.get_string("unit");
    }
    if (!names.insert(axis.name).second)
      image.fail("axes", fmt::format("the axis \"{}\" occurs twice", axis.name));
    axes.push_back(std::move(axis));
  }
  if (axes.size() < 2 || axes.size() > 5)
    image.fail("axes", fmt::format("expected 2 to 5 axes, found {}", axes.size()));
  return axes;
}

/// Where a level lies below the group: a path that cannot leave it.
std::string read_level_path(const ObjectReader& dataset) {
  const std::string& path = dataset.get_string("path");
  try {
    storage::check_key(path);
  } catch (const Error&) {
    dataset.fail("path", fmt::format("\"{}\" is not a path below the image", path));
  }
  return path;
}

/// Applies the transformations listed in `owner`, if any, to the scale and translation so far.
void apply_transformations(const ObjectReader& owner, std::size_t ndim, Level& level) {
  if (owner.optional("coordinateTransformations") == nullptr) return;
  std::size_t index = 0;
  for (const Json& entry : owner.get_array("coordinateTransformations")) {
    const ObjectReader transformation(
        entry, owner.where(), fmt::format("{}[{}]", owner.path_of("coordinateTransformations"), index++));
    const std::string& type = transformation.get_string("type");
    if (type == "identity") continue;
    if (type != "scale" && type != "translation")
      transformation.fail("type", fmt::format("unknown transformation \"{}\"", type));
    const std::vector<double> values = transformation.get_doubles(type);
    if (values.size() != ndim)
      transformation.fail(type, fmt::format("expected {} numbers, found {}", ndim, values.size()));
    for (std::size_t i = 0; i < ndim; ++i) {
      if (type == "scale") {
        if (!(values[i] > 0.0)) transformation.fail(type, "scales must be positive");
        level.scale[i] *= values[i];
        level.translation[i] *= values[i];
      } else {
        level.translation[i] += values[i];
      }
    }
  }
}

/// Whether the transformations of a dataset say how large its voxels are. One for all levels does not tell them apart.
bool gives_scale(const ObjectReader& dataset) {
  if (dataset.optional("coordinateTransformations") == nullptr) return false;
  const Json::Array& all = dataset.get_array("coordinateTransformations");
  return std::any_of(all.begin(), all.end(), [](const Json& transformation) {
    const Json* type = transformation.find("type");
    return type != nullptr && type->is_string() && type->as_string() == "scale";
  });
}

Json axes_json(const std::vector<Axis>& axes) {
  Json out = Json::array();
  for (const Axis& axis : axes) {
    Json entry;
    entry["name"] = axis.name;
    if (!axis.type.empty()) entry["type"] = axis.type;
    if (!axis.unit.empty()) entry["unit"] = axis.unit;
    out.push_back(std::move(entry));
  }
  return out;
}

Json datasets_json(const std::vector<Level>& levels) {
  Json out = Json::array();
  for (const Level& level : levels) {
    Json scale;
    scale["type"] = "scale";
    scale["scale"] = level.scale;
    Json translation;
    translation["type"] = "translation";
    translation["translation"] = level.translation;
    Json dataset;
    dataset["path"] = level.path;
    dataset["coordinateTransformations"].push_back(std::move(scale));
    dataset["coordinateTransformations"].push_back(std::move(translation));
    out.push_back(std::move(dataset));
  }
  return out;
}

/// Display settings for an image whose input had none.
Json default_omero(const std::string& label, std::int64_t channels, double display_maximum) {
  Json omero;
  for (std::int64_t c = 0; c < channels; ++c) {
    Json window;
    window["min"] = 0.0;
    window["max"] = display_maximum;
    window["start"] = 0.0;
    window["end"] = display_maximum;
    Json channel;
    channel["label"] = channels == 1 ? label : fmt::format("{} {}", label, c);
    channel["color"] = "FFFFFF";
    channel["active"] = true;
    channel["window"] = std::move(window);
    omero["channels"].push_back(std::move(channel));
  }
  return omero;
}

}  // namespace

std::optional<int> Multiscale::axis(std::string_view axis_name) const {
  for (std::size_t i = 0; i < axes.size(); ++i)
    if (axes[i].name == axis_name) return static_cast<int>(i);
  return std::nullopt;
}

const Level* Multiscale::find_level(std::string_view path) const {
  const auto it =
      std::find_if(levels.begin(), levels.end(), [&](const Level& l) { return l.path == path; });
  return it == levels.end() ? nullptr : &*it;
}

bool has_multiscale(const Json& group_attributes) {
  return members_of(group_attributes).object->find("multiscales") != nullptr;
}

Multiscale read_multiscale(const Json& group_attributes, const std::string& where) {
  const Members members = members_of(group_attributes);
  const ObjectReader attributes(*members.object, where, members.path);
  if (!attributes.has("multiscales"))
    attributes.fail("multiscales", "missing: this group is not an OME-Zarr image, or is an unfinished output");
  const Json::Array& images = attributes.get_array("multiscales");
  if (images.empty()) attributes.fail("multiscales", "the list is empty");
  const ObjectReader image(images.front(), where, attributes.path_of("multiscales") + "[0]");

  Multiscale multiscale;
  if (image.optional("name") != nullptr) multiscale.name = image.get_string("name");
  multiscale.axes = read_axes(image);
  const std::size_t ndim = multiscale.axes.size();
  std::size_t index = 0;
  for (const Json& entry : image.get_array("datasets")) {
    const ObjectReader dataset(entry, where, fmt::format("{}[{}]", image.path_of("datasets"), index++));
    Level level;
    level.path = read_level_path(dataset);
    level.scale.assign(ndim, 1.0);
    level.translation.assign(ndim, 0.0);
    apply_transformations(dataset, ndim, level);
    apply_transformations(image, ndim, level);
    level.has_scale = gives_scale(dataset);
    multiscale.levels.push_back(std::move(level));
  }
  if (multiscale.levels.empty()) image.fail("datasets", "the list is empty");
  return multiscale;
}

Json write_group_attributes(const Multiscale& multiscale, const Downscaler& downscaler,
                            const Json& inherited, std::int64_t channels, double display_maximum,
                            int zarr_format) {
  const bool is_v3 = zarr_format == 3;
  Json image;
  if (!is_v3) image["version"] = "0.4";
  image["name"] = multiscale.name;
  image["axes"] = axes_json(multiscale.axes);
  image["datasets"] = datasets_json(multiscale.levels);
  image["type"] = downscaler.type;
  image["metadata"]["description"] = "each voxel of a level is made of a 2x2x2 window of the level before";
  image["metadata"]["method"] = downscaler.method;
  image["metadata"]["kwargs"] = downscaler.arguments;

  PartedAttributes parts = part_attributes(inherited);
  parts.ngff["multiscales"] = Json(Json::Array{std::move(image)});
  if (parts.ngff.find("omero") == nullptr)
    parts.ngff["omero"] = default_omero(multiscale.name, channels, display_maximum);
  Json attributes = std::move(parts.others);
  if (!is_v3) {
    // Versions before 0.5 keep all side by side; what stands there already stays.
    for (const Json* object : {&parts.ngff, &parts.in_ome})
      for (const auto& [key, value] : object->as_object())
        if (attributes.find(key) == nullptr) attributes[key] = value;
    return attributes;
  }
  Json ome;
  ome["version"] = "0.5";
  for (const std::string_view key : kMembers)
    if (const Json* member = parts.ngff.find(key)) {
      ome[key] = *member;
      if (member->is_object()) ome[key].erase("version");  // that of the group holds for all
    }
  for (const auto& [key, value] : parts.in_ome.as_object()) ome[key] = value;
  attributes["ome"] = std::move(ome);
  return attributes;
}

std::vector<Axis> output_axes() { return kOutputAxes; }

std::vector<Level> output_levels(const std::vector<double>& base_scale,
                                 const std::vector<double>& base_translation, int count) {
  std::vector<Level> levels;
  for (int k = 0; k < count; ++k) {
    const double factor = std::ldexp(1.0, k);
    Level level;
    level.path = std::to_string(k);
    level.has_scale = true;
    level.scale = base_scale;
    level.translation = base_translation;
    for (std::size_t i = base_scale.size() - 3; i < base_scale.size(); ++i) {
      level.scale[i] = base_scale[i] * factor;
      level.translation[i] = base_translation[i] + (factor - 1.0) / 2.0 * base_scale[i];
    }
    levels.push_back(std::move(level));
  }
  return levels;
}

}  // namespace flatfield::ome
