#include "flatfield/zarr/metadata_v3.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/zarr/codecs_v3.h"
#include "flatfield/zarr/fill_value.h"

namespace flatfield::zarr {
namespace {

constexpr int kIndent = 2;  // as zarr-python 3

[[noreturn]] void fail_unsupported(const ObjectReader& reader, const std::string& what,
                                   std::string_view remedy) {
  throw Error(ErrorCode::kUnsupported, what, reader.where(), remedy);
}

/// What a member of a node may be beside those that are known: an extension that may be ignored.
void refuse_extensions(const ObjectReader& reader, const Json& document,
                       const std::vector<std::string_view>& known) {
  for (const auto& [key, value] : document.as_object()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const Json* must_understand = value.find("must_understand");
    const bool may_ignore =
        must_understand != nullptr && must_understand->is_bool() && !must_understand->as_bool();
    if (!may_ignore)
      fail_unsupported(reader, fmt::format("the extension \"{}\" is not supported", key),
                       "write the array without it");
  }
}

/// Checks the members that every node has, and returns its type.
std::string read_node_type(const ObjectReader& reader) {
  const std::int64_t format = reader.get_int("zarr_format");
  if (format != 3)
    fail_unsupported(reader, fmt::format("zarr_format {} is not supported here", format),
                     "this file must have zarr_format 3");
  const std::string& type = reader.get_string("node_type");
  if (type != "array" && type != "group")
    reader.fail("node_type", fmt::format("expected \"array\" or \"group\", found \"{}\"", type));
  return type;
}

Json read_attributes(const ObjectReader& reader) {
  if (reader.optional("attributes") == nullptr) return Json::object();
  const Json& attributes = reader.require("attributes");
  if (!attributes.is_object())
    reader.fail("attributes", fmt::format("expected an object, found {}", attributes.type_name()));
  return attributes;
}

DType read_data_type(const ObjectReader& reader) {
  const NamedConfiguration type =
      read_named(reader.require("data_type"), reader.where(), "data_type");
  const std::optional<DType> dtype = dtype_from_name(type.name);
  if (!dtype || !type.configuration.as_object().empty())
    fail_unsupported(reader,
                     fmt::format("data_type: the data type {} is not supported",
                                 reader.require("data_type").dump()),
                     "convert the array to a numeric type");
  return *dtype;
}

Shape read_chunk_shape(const ObjectReader& reader) {
  const NamedConfiguration grid =
      read_named(reader.require("chunk_grid"), reader.where(), "chunk_grid");
  if (grid.name != "regular")
    fail_unsupported(reader, fmt::format("chunk_grid: the grid \"{}\" is not supported", grid.name),
                     "write the array with a regular grid");
  const ObjectReader configuration(grid.configuration, reader.where(), grid.path);
  configuration.refuse_unknown({"chunk_shape"});
  return configuration.get_ints("chunk_shape", 1);
}

void read_key_encoding(const ObjectReader& reader, ArrayMetadata& metadata) {
  const NamedConfiguration encoding =
      read_named(reader.require("chunk_key_encoding"), reader.where(), "chunk_key_encoding");
  if (encoding.name != "default" && encoding.name != "v2")
    fail_unsupported(
        reader,
        fmt::format("chunk_key_encoding: the encoding \"{}\" is not supported", encoding.name),
        "write the array with the encoding \"default\"");
  const bool is_default = encoding.name == "default";
  metadata.key_encoding = is_default ? KeyEncoding::kDefault : KeyEncoding::kV2;
  metadata.separator = is_default ? '/' : '.';
  const ObjectReader configuration(encoding.configuration, reader.where(), encoding.path);
  configuration.refuse_unknown({"separator"});
  if (configuration.optional("separator") == nullptr) return;
  const std::string& separator = configuration.get_string("separator");
  if (separator != "/" && separator != ".")
    configuration.fail("separator",
                       fmt::format("expected \"/\" or \".\", found \"{}\"", separator));
  metadata.separator = separator.front();
}

void read_fill_value(const ObjectReader& reader, ArrayMetadata& metadata) {
  const Json& value = reader.require("fill_value");
  auto element = parse_fill_value_v3(value, metadata.dtype);
  if (!element)
    reader.fail("fill_value",
                fmt::format("{} is no value of type {}", value.dump(), name_of(metadata.dtype)));
  metadata.fill_value = std::move(*element);
}

void read_dimension_names(const ObjectReader& reader, ArrayMetadata& metadata) {
  if (reader.optional("dimension_names") == nullptr) return;
  for (const Json& name : reader.get_array("dimension_names")) {
    if (name.is_null())
      metadata.dimension_names.emplace_back();
    else if (name.is_string())
      metadata.dimension_names.emplace_back(name.as_string());
    else
      reader.fail("dimension_names",
                  fmt::format("expected strings and null, found {}", name.type_name()));
  }
  if (metadata.dimension_names.size() != metadata.shape.size())
    reader.fail("dimension_names",
                fmt::format("{} names for {} dimensions", metadata.dimension_names.size(),
                            metadata.shape.size()));
}

/// Chunks of a plain shard are read by themselves: they are the chunks of the array then.
void lift_sharding(CodecChain chain, ArrayMetadata& metadata) {
  if (!chain.sharding || !chain.order.empty() || !chain.compressors.empty()) {
    metadata.codecs = std::move(chain);
    return;
  }
  metadata.shard_shape = std::exchange(metadata.chunk_shape, chain.sharding->chunk_shape);
  metadata.shard_index = chain.sharding->index;
  metadata.codecs = chain.sharding->codecs;
}

/// The shard is checked as such; only what is decoded at once has to fit into memory.
void check_grid(const ArrayMetadata& metadata, const std::string& where) {
  ArrayMetadata grid;
  grid.shape = metadata.shape;
  grid.chunk_shape = Shape(metadata.chunk_shape.size(), 1);
  grid.dtype = metadata.dtype;
  check_shapes(grid, ErrorCode::kBadInput, where);
}

}  // namespace

bool is_array_v3(std::string_view text, const std::string& where) {
  const Json document = Json::parse(text, where);
  return read_node_type(ObjectReader(document, where)) == "array";
}

ArrayMetadata parse_array_v3(std::string_view text, const std::string& where) {
  const Json document = Json::parse(text, where);
  const ObjectReader reader(document, where);
  if (read_node_type(reader) != "array")
    throw Error(ErrorCode::kNotFound, "this is a group, not an array", where,
                "name an array in it");
  refuse_extensions(
      reader, document,
      {"zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding",
       "fill_value", "codecs", "attributes", "storage_transformers", "dimension_names"});
  if (reader.optional("storage_transformers") != nullptr &&
      !reader.get_array("storage_transformers").empty())
    fail_unsupported(reader,
                     fmt::format("storage_transformers: {} is not supported",
                                 read_named(reader.get_array("storage_transformers").front(), where,
                                            "storage_transformers[0]")
                                     .name),
                     "write the array without storage transformers");
  ArrayMetadata metadata;
  metadata.zarr_format = 3;
  metadata.dtype = read_data_type(reader);
  metadata.shape = reader.get_ints("shape", 0);
  metadata.chunk_shape = read_chunk_shape(reader);
  check_grid(metadata, where);
  read_key_encoding(reader, metadata);
  read_fill_value(reader, metadata);
  read_dimension_names(reader, metadata);
  lift_sharding(
      parse_codecs(reader.require("codecs"), metadata.chunk_shape, metadata.dtype, where, "codecs"),
      metadata);
  check_shapes(metadata, ErrorCode::kBadInput, where);
  metadata.attributes = read_attributes(reader);
  return metadata;
}

GroupV3 parse_group_v3(std::string_view text, const std::string& where) {
  const Json document = Json::parse(text, where);
  const ObjectReader reader(document, where);
  if (read_node_type(reader) != "group")
    throw Error(ErrorCode::kNotFound, "this is an array, not a group", where);
  refuse_extensions(reader, document,
                    {"zarr_format", "node_type", "attributes", "consolidated_metadata"});
  GroupV3 group;
  group.attributes = read_attributes(reader);
  // A cache that is damaged, or of another kind, is no reason to refuse what it is a copy of.
  const Json* consolidated = reader.optional("consolidated_metadata");
  const Json* nodes = consolidated == nullptr ? nullptr : consolidated->find("metadata");
  if (nodes != nullptr && nodes->is_object()) group.consolidated = *nodes;
  return group;
}

std::string print_array_v3(const ArrayMetadata& metadata) {
  CodecChain chain = metadata.codecs;
  if (metadata.is_sharded()) {
    chain = CodecChain{};
    chain.sharding = std::make_shared<const ShardingCodec>(
        ShardingCodec{metadata.chunk_shape, metadata.codecs, metadata.shard_index});
  }
  Json document;
  document["zarr_format"] = 3;
  document["node_type"] = "array";
  document["shape"] = metadata.shape;
  document["data_type"] = name_of(metadata.dtype);
  document["chunk_grid"]["name"] = "regular";
  document["chunk_grid"]["configuration"]["chunk_shape"] = metadata.object_shape();
  document["chunk_key_encoding"]["name"] =
      metadata.key_encoding == KeyEncoding::kDefault ? "default" : "v2";
  document["chunk_key_encoding"]["configuration"]["separator"] = std::string(1, metadata.separator);
  document["fill_value"] = print_fill_value(metadata.fill_value, metadata.dtype);
  document["codecs"] = print_codecs(chain, metadata.dtype);
  document["attributes"] = metadata.attributes;
  if (!metadata.dimension_names.empty()) {
    Json names = Json::array();
    for (const auto& name : metadata.dimension_names) names.push_back(name ? Json(*name) : Json());
    document["dimension_names"] = std::move(names);
  }
  return document.dump(kIndent);
}

std::string print_group_v3(const Json& attributes) {
  Json document;
  document["zarr_format"] = 3;
  document["node_type"] = "group";
  document["attributes"] = attributes;
  return document.dump(kIndent);
}

}  // namespace flatfield::zarr
