#include "flatfield/zarr/metadata_v2.h"

#include <fmt/format.h>

#include "flatfield/core/error.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/zarr/compressors.h"
#include "flatfield/zarr/fill_value.h"
#include "flatfield/zarr/filters.h"
#include "flatfield/zarr/numcodecs_config.h"
#include "flatfield/zarr/stored_type.h"

namespace flatfield::zarr {
namespace {

constexpr int kIndent = 4;  // as zarr-python 2

[[noreturn]] void fail_unsupported(const ObjectReader& reader, std::string_view what,
                                   std::string_view remedy) {
  throw Error(ErrorCode::kUnsupported, what, reader.where(), remedy);
}

void read_dtype(const ObjectReader& reader, ArrayMetadata& metadata) {
  const StoredType type = parse_stored_type(reader, "dtype");
  metadata.dtype = type.dtype;
  metadata.codecs.byte_order = type.byte_order;
}

void read_fill_value(const ObjectReader& reader, ArrayMetadata& metadata) {
  const Json* value = reader.optional("fill_value");
  metadata.fill_value_is_null = value == nullptr;
  if (value == nullptr) {
    metadata.fill_value.assign(size_of(metadata.dtype), std::byte{0});
    return;
  }
  auto element = parse_fill_value(*value, metadata.dtype);
  if (!element)
    reader.fail("fill_value",
                fmt::format("{} is no value of type {}", value->dump(), name_of(metadata.dtype)));
  metadata.fill_value = std::move(*element);
}

char read_letter(const ObjectReader& reader, std::string_view key, char first, char second) {
  const std::string& text = reader.get_string(key);
  if (text.size() != 1 || (text[0] != first && text[0] != second))
    reader.fail(key, fmt::format("expected \"{}\" or \"{}\", found \"{}\"", first, second, text));
  return text[0];
}

/// What `filters` lists may be a filter or a compressor; all filters come before all compressors,
/// because these leave no elements to filter.
void read_filters(const ObjectReader& reader, ArrayMetadata& metadata) {
  if (reader.optional("filters") == nullptr) return;
  StoredType type{metadata.dtype, metadata.codecs.byte_order};
  std::size_t index = 0;
  for (const Json& entry : reader.get_array("filters")) {
    const std::string path = fmt::format("filters[{}]", index++);
    const Json* id = entry.find("id");
    if (id != nullptr && id->is_string() && find_compressor(id->as_string()) != nullptr) {
      const ObjectReader config(entry, reader.where(), path);
      metadata.codecs.compressors.push_back(
          read_numcodecs_config(config, id->as_string(), metadata.dtype));
      continue;
    }
    Filter filter = parse_filter(entry, type, reader.where(), path);
    if (!metadata.codecs.compressors.empty())
      fail_unsupported(reader,
                       fmt::format("{}: the filter \"{}\" behind a compressor is not supported",
                                   path, filter.id),
                       "write the array without filters");
    type = filter.encoded;
    metadata.codecs.filters.push_back(std::move(filter));
  }
}

Json print_compressor(const ArrayMetadata& metadata) {
  if (metadata.codecs.compressors.empty()) return nullptr;
  const Compressor& compressor = metadata.codecs.compressors.front();
  const CompressorInfo* row = find_compressor(compressor.id);
  if (row == nullptr)
    throw Error(ErrorCode::kInternal, fmt::format("unknown compressor \"{}\"", compressor.id));
  // Keys in the order of the alphabet, like zarr-python.
  Json config = Json::object();
  if (compressor.id == "blosc") config["blocksize"] = compressor.blosc_blocksize;
  if (!row->level_key.empty() && row->level_key < "id") config[row->level_key] = compressor.level;
  if (compressor.id == "blosc") config["cname"] = compressor.blosc_cname;
  config["id"] = compressor.id;
  if (row->level_key > "id") config[row->level_key] = compressor.level;
  if (compressor.id == "blosc") config["shuffle"] = compressor.blosc_shuffle;
  return config;
}

}  // namespace

ArrayMetadata parse_array_v2(std::string_view text, const std::string& where) {
  const Json document = Json::parse(text, where);
  const ObjectReader reader(document, where);
  const std::int64_t format = reader.get_int("zarr_format");
  if (format != 2)
    fail_unsupported(reader, fmt::format("zarr_format {} is not supported here", format),
                     "this file must have zarr_format 2");
  ArrayMetadata metadata;
  metadata.zarr_format = 2;
  read_dtype(reader, metadata);
  metadata.shape = reader.get_ints("shape", 0);
  metadata.chunk_shape = reader.get_ints("chunks", 1);
  check_shapes(metadata, ErrorCode::kBadInput, where);
  read_fill_value(reader, metadata);
  if (read_letter(reader, "order", 'C', 'F') == 'F')
    metadata.codecs.order = reversed_axes(metadata.shape.size());
  metadata.separator = reader.optional("dimension_separator") == nullptr
                           ? '.'
                           : read_letter(reader, "dimension_separator", '/', '.');
  read_filters(reader, metadata);
  if (!reader.require("compressor").is_null()) {
    const ObjectReader config = reader.get_object("compressor");
    metadata.codecs.compressors.push_back(
        read_numcodecs_config(config, config.get_string("id"), metadata.dtype));
  }
  metadata.attributes = Json::object();
  return metadata;
}

std::string print_array_v2(const ArrayMetadata& metadata) {
  Json document = Json::object();
  document["chunks"] = metadata.chunk_shape;
  document["compressor"] = print_compressor(metadata);
  document["dimension_separator"] = std::string(1, metadata.separator);
  document["dtype"] = print_stored_type({metadata.dtype, metadata.codecs.byte_order});
  document["fill_value"] = metadata.fill_value_is_null
                               ? Json(nullptr)
                               : print_fill_value(metadata.fill_value, metadata.dtype);
  document["filters"] = nullptr;
  document["order"] = metadata.codecs.order.empty() ? "C" : "F";
  document["shape"] = metadata.shape;
  document["zarr_format"] = 2;
  return document.dump(kIndent);
}

Json parse_attributes_v2(std::string_view text, const std::string& where) {
  Json attributes = Json::parse(text, where);
  if (!attributes.is_object())
    throw Error(ErrorCode::kBadInput,
                fmt::format("expected an object, found {}", attributes.type_name()), where);
  return attributes;
}

std::string print_attributes_v2(const Json& attributes) { return attributes.dump(kIndent); }

std::string print_group_v2() {
  Json document = Json::object();
  document["zarr_format"] = 2;
  return document.dump(kIndent);
}

}  // namespace flatfield::zarr
