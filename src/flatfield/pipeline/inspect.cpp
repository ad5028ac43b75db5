#include "flatfield/pipeline/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/ome/ngff_metadata.h"
#include "flatfield/ome/ngff_rules.h"
#include "flatfield/pipeline/array_checksum.h"
#include "flatfield/pipeline/printable_text.h"
#include "flatfield/storage/open_store.h"
#include "flatfield/zarr/codecs_v3.h"
#include "flatfield/zarr/fill_value.h"
#include "flatfield/zarr/group.h"
#include "flatfield/zarr/metadata_v2.h"
#include "flatfield/zarr/metadata_v3.h"

namespace flatfield::pipeline {
namespace {

using storage::Store;
using StorePtr = std::shared_ptr<Store>;

/// Groups within groups that are looked into.
constexpr int kDeepest = 16;

std::string shape_text(const zarr::Shape& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

std::string compressor_text(const zarr::Compressor& codec) {
  if (codec.id == "blosc")
    return fmt::format("blosc {} level {} shuffle {}", codec.blosc_cname, codec.level,
                       codec.blosc_shuffle);
  if (codec.id == "zstd" || codec.id == "gzip" || codec.id == "zlib" || codec.id == "bz2")
    return fmt::format("{} level {}", codec.id, codec.level);
  return codec.id;
}

std::string codec_text(const zarr::CodecChain& chain) {
  std::vector<std::string> steps;
  if (!chain.order.empty()) steps.push_back(fmt::format("transpose {}", fmt::join(chain.order, " ")));
  if (chain.sharding)
    steps.push_back(fmt::format("shards of chunks {} ({})", shape_text(chain.sharding->chunk_shape),
                                codec_text(chain.sharding->codecs)));
  for (const zarr::Filter& filter : chain.filters) steps.push_back(filter.id);
  for (const zarr::Compressor& codec : chain.compressors) steps.push_back(compressor_text(codec));
  return steps.empty() ? "uncompressed" : fmt::format("{}", fmt::join(steps, ", "));
}

double count_bytes(const zarr::ArrayMetadata& metadata) {
  auto bytes = static_cast<double>(size_of(metadata.dtype));
  for (const std::int64_t extent : metadata.shape) bytes *= static_cast<double>(extent);
  return bytes;
}

std::string array_text(const zarr::Array& array, const InspectOptions& options) {
  const zarr::ArrayMetadata& metadata = array.metadata();
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("    {:<12} {}\n", name, printable(value));
  };
  line("shape", fmt::format("{} {}, {:.4g} MB", shape_text(metadata.shape), name_of(metadata.dtype),
                            count_bytes(metadata) / 1e6));
  const std::string objects = fmt::format(", {} objects", zarr::object_count(metadata));
  line("chunks", shape_text(metadata.chunk_shape) + (metadata.is_sharded() ? "" : objects));
  if (metadata.is_sharded()) line("shards", shape_text(metadata.shard_shape) + objects);
  line("codec", codec_text(metadata.codecs));
  if (options.checksum) line("sha256", array_checksum(array));
  return text;
}

/// The document that describes a node, as it is in the store.
Json read_document(const Store& store, const std::string& path, const zarr::Node& node) {
  const std::string_view file = node.zarr_format == 3 ? zarr::kNodeFileV3
                                : node.is_array       ? zarr::kArrayFileV2
                                                      : zarr::kGroupFileV2;
  const std::string key = storage::join_key(path, file);
  const auto text = storage::get_text(store, key);
  return text ? Json::parse(*text, store.describe(key)) : Json();
}

Json array_json(const zarr::Array& array, const Store& store, const InspectOptions& options) {
  const zarr::ArrayMetadata& metadata = array.metadata();
  Json out;
  out["node"] = "array";
  out["path"] = array.path();
  out["zarr_format"] = metadata.zarr_format;
  out["shape"] = metadata.shape;
  out["data_type"] = name_of(metadata.dtype);
  out["chunks"] = metadata.chunk_shape;
  out["shards"] = metadata.is_sharded() ? Json(metadata.shard_shape) : Json();
  out["objects"] = zarr::object_count(metadata);
  out["bytes"] = count_bytes(metadata);
  out["fill_value"] = metadata.fill_value_is_null
                          ? Json()
                          : zarr::print_fill_value(metadata.fill_value, metadata.dtype);
  Json names;
  for (const auto& name : metadata.dimension_names) names.push_back(name ? Json(*name) : Json());
  out["dimension_names"] = std::move(names);
  out["codec"] = codec_text(metadata.codecs);
  if (options.checksum) out["sha256"] = array_checksum(array);
  out["attributes"] = metadata.attributes;
  out["metadata"] = read_document(store, array.path(), {metadata.zarr_format, true});
  return out;
}

Json levels_json(const ome::Multiscale& image) {
  Json out = Json::array();
  for (const ome::Level& level : image.levels) {
    Json entry;
    entry["path"] = level.path;
    entry["scale"] = level.scale;
    entry["translation"] = level.translation;
    out.push_back(std::move(entry));
  }
  return out;
}

/// Names of what lies below a group; names that begin with "__" are reserved, and hidden ones are
/// not nodes. Where the store cannot list (a web server), the group's metadata are asked.
std::vector<std::string> child_names(const Store& store, const std::string& path,
                                     const Json& attributes, const InspectOptions& options) {
  std::vector<std::string> names;
  try {
    for (std::string name : store.list(path)) {
      if (name.back() != '/' || name.front() == '.' || name.starts_with("__")) continue;
      name.pop_back();
      names.push_back(std::move(name));
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    names = zarr::consolidated_children(store, path, options.zarr_format);
    if (names.empty() && ome::has_multiscale(attributes))
      for (const ome::Level& level : ome::read_multiscale(attributes, store.describe(path)).levels)
        names.push_back(level.path);
    if (names.empty()) throw;
  }
  return names;
}

Json node_json(const StorePtr& store, const std::string& path, const InspectOptions& options,
               int depth);

/// A node that cannot be read is part of the description of its group, one that is not there (a cache
/// may say otherwise) is not.
Json child_json(const StorePtr& store, const std::string& path, const InspectOptions& options,
                int depth) {
  try {
    return node_json(store, path, options, depth);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return Json();
    Json out;
    out["path"] = path;
    out["error"] = error.what();
    return out;
  }
}

Json group_json(const StorePtr& store, const std::string& path, std::optional<zarr::Node> node,
                const InspectOptions& options, int depth) {
  Json out;
  out["node"] = "group";
  out["path"] = path;
  out["zarr_format"] = node ? Json(node->zarr_format) : Json();
  Json attributes = zarr::read_group_attributes(*store, path, options.zarr_format);
  const ome::NgffReport ngff = ome::check_ngff(attributes);
  if (!ngff.version.empty()) {
    out["ngff"]["version"] = ngff.version;
    out["ngff"]["problems"] = Json(ngff.problems);
    out["ngff"]["advice"] = Json(ngff.advice);
  }
  if (ome::has_multiscale(attributes)) {
    try {
      out["levels"] = levels_json(ome::read_multiscale(attributes, store->describe(path)));
    } catch (const Error& error) {
      out["error"] = error.what();
    }
  }
  Json children = Json::array();
  if (depth < kDeepest)
    for (const std::string& name : child_names(*store, path, attributes, options)) {
      Json child = child_json(store, storage::join_key(path, name), options, depth + 1);
      if (!child.is_null()) children.push_back(std::move(child));
    }
  out["attributes"] = std::move(attributes);
  out["children"] = std::move(children);
  return out;
}

/// Null for a folder in which there is no node.
Json node_json(const StorePtr& store, const std::string& path, const InspectOptions& options,
               int depth) {
  const std::optional<zarr::Node> node = zarr::find_node(*store, path, options.zarr_format);
  if (node && node->is_array)
    return array_json(zarr::Array::open(store, path, options.zarr_format), *store, options);
  Json group = group_json(store, path, node, options, depth);
  const bool is_folder = !node && group.find("children")->as_array().empty() &&
                         group.find("attributes")->as_object().empty();
  return is_folder && depth > 0 ? Json() : group;
}

std::string image_text(const StorePtr& store, const Json& attributes,
                       const InspectOptions& options) {
  const ome::Multiscale image = ome::read_multiscale(attributes, store->describe(""));
  std::string axes;
  for (const ome::Axis& axis : image.axes)
    axes += fmt::format("{}{}{}", axes.empty() ? "" : ", ", axis.name,
                        axis.unit.empty() ? "" : " (" + axis.unit + ")");
  std::string text = fmt::format("  name   {}\n  axes   {}\n", printable(image.name), printable(axes));
  for (const ome::Level& level : image.levels) {
    text += fmt::format("  level {}\n", printable(level.path));
    text += array_text(zarr::Array::open(store, level.path, options.zarr_format), options);
    text += fmt::format("    scale        ({:.6g})\n", fmt::join(level.scale, ", "));
    text += fmt::format("    translation  ({:.6g})\n", fmt::join(level.translation, ", "));
  }
  return text;
}

std::string group_text(const StorePtr& store, const Json& attributes,
                       const InspectOptions& options) {
  std::string text;
  for (const std::string& name : child_names(*store, "", attributes, options)) {
    const std::optional<zarr::Node> node = zarr::find_node(*store, name, options.zarr_format);
    text += fmt::format("  {} {}\n", node && node->is_array ? "array" : "group", printable(name));
    if (!node || !node->is_array) continue;
    try {
      text += array_text(zarr::Array::open(store, name, options.zarr_format), options);
    } catch (const Error& error) {
      text += fmt::format("    {}\n", printable(error.what()));
    }
  }
  return text;
}

std::string node_text(const StorePtr& store, const InspectOptions& options) {
  const std::optional<zarr::Node> node = zarr::find_node(*store, "", options.zarr_format);
  const std::string title = printable(store->describe("")) + "\n";
  const std::string kind =
      node ? fmt::format("  node   Zarr v{} {}\n", node->zarr_format,
                         node->is_array ? "array" : "group")
           : std::string("  node   group without metadata\n");
  if (node && node->is_array)
    return title + kind + array_text(zarr::Array::open(store, "", options.zarr_format), options);
  const Json attributes = zarr::read_group_attributes(*store, "", options.zarr_format);
  return title + kind +
         (ome::has_multiscale(attributes) ? image_text(store, attributes, options)
                                          : group_text(store, attributes, options));
}

}  // namespace

std::string inspect(const std::string& location, const InspectOptions& options, storage::StoreOpener& stores) {
  const StorePtr store = stores.open(location);
  if (!options.json) return node_text(store, options);
  Json document;
  document["location"] = store->describe("");
  Json node = node_json(store, "", options, 0);
  for (auto& [key, value] : node.as_object()) document[key] = std::move(value);
  return document.dump(2) + "\n";
}

}  // namespace flatfield::pipeline
