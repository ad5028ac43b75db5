#include "flatfield/ome/tile.h"

#include <fmt/format.h>

#include "flatfield/core/error.h"
#include "flatfield/ome/units.h"
#include "flatfield/zarr/group.h"

namespace flatfield::ome {
namespace {

void check_axes(const Multiscale& multiscale, const std::string& where) {
  const std::size_t n = multiscale.axes.size();
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kUnsupported, "multiscales[0].axes: " + what, where);
  };
  if (n < 3) refuse(fmt::format("{} axes; a tile needs z, y and x", n));
  const std::string_view spatial[] = {"z", "y", "x"};
  for (std::size_t i = 0; i < 3; ++i)
    if (multiscale.axes[n - 3 + i].name != spatial[i])
      refuse("the last three axes must be z, y, x");
  for (std::size_t i = 0; i + 3 < n; ++i) {
    const std::string& name = multiscale.axes[i].name;
    if (name != "t" && name != "c") refuse(fmt::format("the axis \"{}\" is not supported", name));
  }
}

/// Attributes of the group, also where something has left a bare zarr.json beside those of format 2; `found` without.
Json attributes_of_image(const storage::Store& store, Json found) {
  if (has_multiscale(found)) return found;
  try {
    Json older = zarr::read_group_attributes(store, "", 2);
    if (has_multiscale(older)) return older;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
  }
  return found;
}

/// Attributes of the group that a tile is. Stores that cannot list, as web servers, are asked for its documents alone.
Json attributes_of(const storage::Store& store, const std::string& where) {
  try {
    return attributes_of_image(store, zarr::read_group_attributes(store, ""));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    throw Error(ErrorCode::kNotFound, "there is no tile here", where, "check the name");
  }
}

}  // namespace

Tile Tile::open(std::shared_ptr<storage::Store> store) {
  const std::string where = store->describe("");
  if (zarr::is_array(*store, ""))
    throw Error(ErrorCode::kBadInput, "this is a Zarr array, not an OME-Zarr image", where,
                "give the folder above it");
  Json attributes = attributes_of(*store, where);
  // Some writers leave out .zgroup.
  if (attributes.as_object().empty() && !zarr::is_group(*store, ""))
    throw Error(ErrorCode::kBadInput, "this is not a Zarr group", where,
                "a tile is a folder with .zgroup and .zattrs, or zarr.json");
  Multiscale multiscale = read_multiscale(attributes, where);
  check_axes(multiscale, where);
  return {std::move(store), std::move(attributes), std::move(multiscale)};
}

Tile::Tile(std::shared_ptr<storage::Store> store, Json attributes, Multiscale multiscale)
    : store_(std::move(store)), attributes_(std::move(attributes)), multiscale_(std::move(multiscale)) {}

const Level& Tile::level(const std::string& key) const {
  if (const Level* level = multiscale_.find_level(key)) return *level;
  std::string known;
  for (const Level& level : multiscale_.levels) known += (known.empty() ? "" : ", ") + level.path;
  throw Error(ErrorCode::kNotFound, fmt::format("there is no level \"{}\"", key), describe(),
              "its levels are " + known);
}

zarr::Array Tile::open_array(const std::string& key) const {
  const std::string& path = level(key).path;
  zarr::Array array = zarr::Array::open(store_, path);
  if (array.metadata().shape.size() != multiscale_.axes.size())
    throw Error(ErrorCode::kBadInput,
                fmt::format("the array has {} axes, the metadata of the image name {}",
                            array.metadata().shape.size(), multiscale_.axes.size()),
                array.describe());
  return array;
}

VolumeId Tile::volume_counts(const zarr::Array& array) const {
  const auto extent = [&](std::string_view name) {
    const auto axis = multiscale_.axis(name);
    return axis ? array.metadata().shape[static_cast<std::size_t>(*axis)] : std::int64_t{1};
  };
  return {extent("t"), extent("c")};
}

Volume Tile::open_volume(const std::string& key, VolumeId id) const {
  zarr::Array array = open_array(key);
  const VolumeId counts = volume_counts(array);
  const auto is_there = [](std::int64_t i, std::int64_t count) { return i == 0 || (i > 0 && i < count); };
  if (!is_there(id.t, counts.t) || !is_there(id.c, counts.c))
    throw Error(ErrorCode::kUsage,
                fmt::format("there is no time point {}, channel {}: the tile has {} and {}", id.t, id.c, counts.t, counts.c),
                array.describe(), "count them from 0");
  std::vector<std::int64_t> leading;
  for (std::size_t i = 0; i + 3 < multiscale_.axes.size(); ++i)
    leading.push_back(multiscale_.axes[i].name == "t" ? id.t : id.c);
  return {std::move(array), std::move(leading)};
}

Extent3 Tile::spatial_shape(const std::string& key) const {
  return open_volume(key, {}).shape();
}

std::vector<double> Tile::to_output_axes(const std::vector<double>& values, double otherwise) const {
  std::vector<double> out;
  for (const Axis& axis : output_axes()) {
    const auto index = multiscale_.axis(axis.name);
    const std::size_t i = static_cast<std::size_t>(index.value_or(0));
    out.push_back(index ? convert_unit(values[i], multiscale_.axes[i].unit, axis.unit).value_or(values[i]) : otherwise);
  }
  return out;
}

std::vector<Axis> Tile::axes_of_unknown_unit() const {
  std::vector<Axis> unknown;
  for (const Axis& axis : output_axes()) {
    const auto index = multiscale_.axis(axis.name);
    if (!index || axis.unit.empty()) continue;
    const Axis& own = multiscale_.axes[static_cast<std::size_t>(*index)];
    if (!own.unit.empty() && !convert_unit(1.0, own.unit, axis.unit)) unknown.push_back(own);
  }
  return unknown;
}

std::vector<double> Tile::output_scale(const Level& level) const {
  return to_output_axes(level.scale, 1.0);
}

std::vector<double> Tile::output_translation(const Level& level) const {
  return to_output_axes(level.translation, 0.0);
}

}  // namespace flatfield::ome
