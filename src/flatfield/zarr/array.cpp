#include "flatfield/zarr/array.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/zarr/codec.h"
#include "flatfield/zarr/fill_value.h"
#include "flatfield/zarr/metadata_v2.h"

namespace flatfield::zarr {
namespace {

using storage::join_key;
using storage::Store;

constexpr std::string_view kNodeFileV3 = "zarr.json";

[[noreturn]] void fail_v3(std::string_view where) {
  throw Error(ErrorCode::kUnsupported, "Zarr format 3 is not supported", where,
              "convert it to Zarr format 2");
}

void require_v2(int zarr_format, std::string_view where) {
  if (zarr_format != 2)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("Zarr format {} cannot be written", zarr_format), where,
                "use Zarr format 2");
}

bool exists(const Store& store, std::string_view path, std::string_view file) {
  return store.size(join_key(path, file)).has_value();
}

/// The text of a metadata file below `path`, as part of the time spent reading.
std::optional<std::string> read_text(const Store& store, std::string_view path,
                                     std::string_view file) {
  const StageScope reading(Stage::kRead);
  auto text = storage::get_text(store, join_key(path, file));
  if (text) count_bytes_read(static_cast<std::int64_t>(text->size()));
  return text;
}

void write_text(Store& store, const std::string& key, std::string_view text) {
  const StageScope writing(Stage::kWrite);
  storage::put_text(store, key, text);
  count_bytes_written(static_cast<std::int64_t>(text.size()));
}

/// Fills in what may be left empty, and refuses what cannot be encoded.
ArrayMetadata checked_for_writing(ArrayMetadata metadata, const std::string& where) {
  require_v2(metadata.zarr_format, where);
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kUsage, what, where); };
  check_shapes(metadata, ErrorCode::kUsage, where);
  const std::size_t itemsize = size_of(metadata.dtype);
  if (metadata.fill_value.empty()) metadata.fill_value.assign(itemsize, std::byte{0});
  if (metadata.fill_value.size() != itemsize)
    refuse(fmt::format("the fill value has {} bytes, an element {}", metadata.fill_value.size(),
                       itemsize));
  if (metadata.separator != '/' && metadata.separator != '.')
    refuse(fmt::format("the separator of chunk keys is \"{}\", expected \"/\" or \".\"",
                       metadata.separator));
  if (metadata.compressors.size() > 1)
    refuse(fmt::format("{} compressors; Zarr format 2 has one", metadata.compressors.size()));
  for (const Compressor& compressor : metadata.compressors) check_compressor(compressor, where);
  if (metadata.attributes.is_null()) metadata.attributes = Json::object();
  if (!metadata.attributes.is_object())
    refuse(
        fmt::format("the attributes are {}, expected an object", metadata.attributes.type_name()));
  return metadata;
}

}  // namespace

Array::Array(std::shared_ptr<Store> store, std::string path, ArrayMetadata metadata)
    : store_(std::move(store)),
      path_(std::move(path)),
      metadata_(std::make_shared<const ArrayMetadata>(std::move(metadata))),
      codec_(std::make_shared<const ChunkCodec>(*metadata_)) {}

Array Array::open(std::shared_ptr<Store> store, std::string path) {
  const auto text = read_text(*store, path, kArrayFileV2);
  if (!text) {
    if (exists(*store, path, kNodeFileV3)) fail_v3(store->describe(join_key(path, kNodeFileV3)));
    throw Error(ErrorCode::kNotFound, "there is no Zarr array", store->describe(path),
                fmt::format("an array has a {} file", kArrayFileV2));
  }
  ArrayMetadata metadata = parse_array_v2(*text, store->describe(join_key(path, kArrayFileV2)));
  if (const auto attributes = read_text(*store, path, kAttributesFileV2))
    metadata.attributes =
        parse_attributes_v2(*attributes, store->describe(join_key(path, kAttributesFileV2)));
  return {std::move(store), std::move(path), std::move(metadata)};
}

Array Array::create(std::shared_ptr<Store> store, std::string path, ArrayMetadata metadata) {
  metadata = checked_for_writing(std::move(metadata), store->describe(path));
  // The file that makes it an array comes last.
  const std::string attributes_key = join_key(path, kAttributesFileV2);
  if (metadata.attributes.as_object().empty())
    store->erase(attributes_key);
  else
    write_text(*store, attributes_key, print_attributes_v2(metadata.attributes));
  write_text(*store, join_key(path, kArrayFileV2), print_array_v2(metadata));
  return {std::move(store), std::move(path), std::move(metadata)};
}

std::string Array::describe() const { return store_->describe(path_); }

std::string Array::describe_chunk(const std::vector<std::int64_t>& index) const {
  return store_->describe(join_key(path_, chunk_key(*metadata_, index)));
}

template <class Decode>
bool Array::read(const std::vector<std::int64_t>& index, std::span<std::byte> into,
                 ChunkScratch& scratch, Decode decode) const {
  const std::string key = checked_key(index);
  bool found = false;
  {
    const StageScope reading(Stage::kRead);
    found = store_->get(key, scratch.encoded);
  }
  const StageScope decoding(Stage::kDecode);
  if (!found) {
    fill_elements(metadata_->fill_value, into);
    return false;
  }
  count_bytes_read(static_cast<std::int64_t>(scratch.encoded.size()));
  try {
    decode(scratch.encoded.span());
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), store_->describe(key),
                "the object is damaged: copy it again from its source");
  }
  return true;
}

bool Array::read_chunk(const std::vector<std::int64_t>& index, std::span<std::byte> into,
                       ChunkScratch& scratch) const {
  check_chunk_size(into.size());
  return read(index, into, scratch, [&](std::span<const std::byte> encoded) {
    codec_->decode(encoded, into, scratch.filtered);
  });
}

bool Array::read_chunk_elements(const std::vector<std::int64_t>& index, std::int64_t first,
                                std::int64_t count, std::span<std::byte> into,
                                ChunkScratch& scratch) const {
  const std::int64_t elements = metadata_->chunk_elements();
  if (first < 0 || count < 0 || first > elements || count > elements - first ||
      into.size() != static_cast<std::size_t>(count) * size_of(metadata_->dtype))
    throw Error(ErrorCode::kInternal,
                fmt::format("asked for {} elements from {} on of a chunk of {}, into {} bytes",
                            count, first, elements, into.size()),
                describe());
  return read(index, into, scratch, [&](std::span<const std::byte> encoded) {
    codec_->decode_elements(encoded, first, into, scratch.filtered, scratch.chunk);
  });
}

std::span<const std::byte> Array::encode_chunk(std::span<const std::byte> chunk,
                                               ChunkScratch& scratch) const {
  check_chunk_size(chunk.size());
  const StageScope encoding(Stage::kEncode);
  return codec_->encode(chunk, scratch.filtered, scratch.encoded);
}

void Array::write_encoded_chunk(const std::vector<std::int64_t>& index,
                                std::span<const std::byte> encoded) const {
  const std::string key = checked_key(index);
  const StageScope writing(Stage::kWrite);
  store_->put_soon(key, encoded);
  count_bytes_written(static_cast<std::int64_t>(encoded.size()));
}

void Array::write_chunk(const std::vector<std::int64_t>& index, std::span<const std::byte> chunk,
                        ChunkScratch& scratch) const {
  write_encoded_chunk(index, encode_chunk(chunk, scratch));
}

void Array::check_chunk_size(std::size_t size) const {
  if (size != codec_->chunk_bytes())
    throw Error(
        ErrorCode::kInternal,
        fmt::format("a chunk of {} bytes was given, expected {}", size, codec_->chunk_bytes()),
        describe());
}

std::string Array::checked_key(const std::vector<std::int64_t>& index) const {
  bool inside = index.size() == metadata_->shape.size();
  for (std::size_t i = 0; inside && i < index.size(); ++i)
    // The second comparison is index * chunk < shape without overflow.
    inside = index[i] >= 0 && metadata_->shape[i] > 0 &&
             index[i] <= (metadata_->shape[i] - 1) / metadata_->chunk_shape[i];
  if (!inside)
    throw Error(ErrorCode::kInternal, fmt::format("there is no chunk [{}]", fmt::join(index, ", ")),
                describe());
  return join_key(path_, chunk_key(*metadata_, index));
}

Json read_group_attributes(const Store& store, std::string_view path) {
  if (const auto text = read_text(store, path, kAttributesFileV2))
    return parse_attributes_v2(*text, store.describe(join_key(path, kAttributesFileV2)));
  if (is_group(store, path) || is_array(store, path)) return Json::object();
  if (exists(store, path, kNodeFileV3)) fail_v3(store.describe(join_key(path, kNodeFileV3)));
  if (store.list(path).empty())
    throw Error(ErrorCode::kNotFound, "there is no Zarr group", store.describe(path),
                "check the name");
  return Json::object();
}

bool is_array(const Store& store, std::string_view path) {
  return exists(store, path, kArrayFileV2);
}

bool is_group(const Store& store, std::string_view path) {
  return exists(store, path, kGroupFileV2);
}

void write_group(Store& store, std::string_view path, int zarr_format) {
  require_v2(zarr_format, store.describe(path));
  write_text(store, join_key(path, kGroupFileV2), print_group_v2());
}

void write_group_attributes(Store& store, std::string_view path, int zarr_format,
                            const Json& attributes) {
  require_v2(zarr_format, store.describe(path));
  if (attributes.is_null()) return;
  if (!attributes.is_object())
    throw Error(ErrorCode::kUsage,
                fmt::format("the attributes are {}, expected an object", attributes.type_name()),
                store.describe(path));
  write_text(store, join_key(path, kAttributesFileV2), print_attributes_v2(attributes));
}

}  // namespace flatfield::zarr
