#include "flatfield/zarr/array.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/storage/fan_out.h"
#include "flatfield/zarr/codec_memory.h"
#include "flatfield/zarr/codecs_v3.h"
#include "flatfield/zarr/compressors.h"
#include "flatfield/zarr/fill_value.h"
#include "flatfield/zarr/metadata_io.h"
#include "flatfield/zarr/metadata_v2.h"
#include "flatfield/zarr/metadata_v3.h"
#include "flatfield/zarr/nd_copy.h"
#include "flatfield/zarr/shard_reader.h"

namespace flatfield::zarr {
namespace {

using storage::join_key;
using storage::Store;

/// The chain that an array is written with: what this program never writes is refused.
void check_chain(const ArrayMetadata& metadata, const std::string& where) {
  const CodecChain& chain = metadata.codecs;
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kUsage, what, where); };
  if (!chain.filters.empty()) refuse("filters are read, not written");
  if (chain.sharding) refuse("shards within shards are read, not written");
  check_order(chain.order, metadata.shape.size(), ErrorCode::kUsage, where);
  for (const Compressor& compressor : chain.compressors) check_compressor(compressor, where);
  if (metadata.zarr_format == 3) return check_codecs_v3(chain, where);
  if (chain.compressors.size() > 1)
    refuse(fmt::format("{} compressors; Zarr format 2 has one", chain.compressors.size()));
  if (!chain.order.empty() && chain.order != reversed_axes(metadata.shape.size()))
    refuse("Zarr format 2 has the orders C and F only");
}

/// Fills in what may be left empty, and refuses what cannot be encoded.
ArrayMetadata checked_for_writing(ArrayMetadata metadata, const std::string& where) {
  const bool is_v3 = metadata.zarr_format == 3;
  if (metadata.zarr_format != 2 && !is_v3)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("Zarr format {} cannot be written", metadata.zarr_format), where,
                "use Zarr format 2 or 3");
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
  if (!is_v3 && (metadata.is_sharded() || metadata.key_encoding != KeyEncoding::kV2))
    refuse("Zarr format 2 has neither shards nor other keys");
  if (metadata.is_sharded() && !metadata.shard_index.at_end)
    refuse("the index of a shard is written at its end");
  if (!metadata.dimension_names.empty() &&
      (!is_v3 || metadata.dimension_names.size() != metadata.shape.size()))
    refuse(fmt::format("{} names for {} dimensions of Zarr format {}",
                       metadata.dimension_names.size(), metadata.shape.size(),
                       metadata.zarr_format));
  check_chain(metadata, where);
  if (metadata.attributes.is_null()) metadata.attributes = Json::object();
  if (!metadata.attributes.is_object())
    refuse(
        fmt::format("the attributes are {}, expected an object", metadata.attributes.type_name()));
  return metadata;
}

ArrayMetadata open_v2(const Store& store, const std::string& path, std::string_view text) {
  ArrayMetadata metadata = parse_array_v2(text, store.describe(join_key(path, kArrayFileV2)));
  if (const auto attributes = read_metadata_text(store, path, kAttributesFileV2))
    metadata.attributes =
        parse_attributes_v2(*attributes, store.describe(join_key(path, kAttributesFileV2)));
  return metadata;
}

}  // namespace

void ExpectedChunks::forget() {
  for (auto& [index, encoded] : chunks)
    if (encoded) spare.push_back(std::move(*encoded));
  chunks.clear();
  of.reset();
}

Buffer ExpectedChunks::take_spare() {
  if (spare.empty()) return {};
  Buffer buffer = std::move(spare.back());
  spare.pop_back();
  return buffer;
}

Array::Array(std::shared_ptr<Store> store, std::string path, ArrayMetadata metadata,
             const std::string& where)
    : store_(std::move(store)),
      path_(std::move(path)),
      metadata_(std::make_shared<const ArrayMetadata>(std::move(metadata))) {
  try {
    codec_ = std::make_shared<const ChunkCodec>(metadata_->codecs, metadata_->chunk_shape,
                                                metadata_->dtype, metadata_->fill_value);
    if (metadata_->is_sharded())
      shards_ = std::make_shared<const ShardReader>(
          store_, ShardIndexCodec(metadata_->shard_index, metadata_->chunks_per_object()));
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), where, error.remedy());
  }
}

Array Array::open(std::shared_ptr<Store> store, std::string path, int zarr_format) {
  if (zarr_format != 2)
    if (const auto text = read_metadata_text(*store, path, kNodeFileV3)) {
      const std::string where = store->describe(join_key(path, kNodeFileV3));
      ArrayMetadata metadata = parse_array_v3(*text, where);
      return {std::move(store), std::move(path), std::move(metadata), where};
    }
  if (zarr_format != 3)
    if (const auto text = read_metadata_text(*store, path, kArrayFileV2)) {
      const std::string where = store->describe(join_key(path, kArrayFileV2));
      ArrayMetadata metadata = open_v2(*store, path, *text);
      return {std::move(store), std::move(path), std::move(metadata), where};
    }
  throw Error(ErrorCode::kNotFound, "there is no Zarr array", store->describe(path),
              fmt::format("an array has a {} or a {} file", kArrayFileV2, kNodeFileV3));
}

Array Array::create(std::shared_ptr<Store> store, std::string path, ArrayMetadata metadata) {
  const std::string where = store->describe(path);
  metadata = checked_for_writing(std::move(metadata), where);
  if (metadata.zarr_format == 3) {
    write_metadata_text(*store, join_key(path, kNodeFileV3), print_array_v3(metadata));
    return {std::move(store), std::move(path), std::move(metadata), where};
  }
  // The file that makes it an array comes last.
  const std::string attributes_key = join_key(path, kAttributesFileV2);
  if (metadata.attributes.as_object().empty())
    store->erase(attributes_key);
  else
    write_metadata_text(*store, attributes_key, print_attributes_v2(metadata.attributes));
  write_metadata_text(*store, join_key(path, kArrayFileV2), print_array_v2(metadata));
  return {std::move(store), std::move(path), std::move(metadata), where};
}

std::string Array::describe() const { return store_->describe(path_); }

std::optional<std::span<const std::byte>> Array::encoded_chunk(const Shape& index,
                                                               const std::string& key,
                                                               ChunkScratch& scratch) const {
  if (scratch.expected.of == metadata_)
    if (const auto it = scratch.expected.chunks.find(index); it != scratch.expected.chunks.end()) {
      if (!it->second) return std::nullopt;
      return std::as_const(*it->second).span();
    }
  if (shards_) {
    if (!shards_->get(key, number_in_object(index), scratch.encoded, scratch.codec))
      return std::nullopt;
  } else {
    const StageScope reading(Stage::kRead);
    if (!store_->get(key, scratch.encoded)) return std::nullopt;
    count_bytes_read(static_cast<std::int64_t>(scratch.encoded.size()));
  }
  return std::as_const(scratch.encoded).span();
}

template <class Work>
void Array::naming(const Shape& index, const std::string& key, Work work) const {
  try {
    work();
  } catch (const Error& error) {
    if (!error.where().empty()) throw;  // the store has said where
    const std::string chunk =
        shards_ ? fmt::format("chunk [{}]: ", fmt::join(index, ", ")) : std::string();
    throw Error(error.code(), chunk + error.message(), store_->describe(key),
                "the object is damaged: copy it again from its source");
  }
}

template <class Decode, class Fill>
bool Array::read(const Shape& index, ChunkScratch& scratch, Decode decode, Fill fill) const {
  const std::string key = chunk_object_key(index);
  bool found = false;
  naming(index, key, [&] {
    const auto encoded = encoded_chunk(index, key, scratch);
    found = encoded.has_value();
    const StageScope decoding(Stage::kDecode);
    if (encoded)
      decode(*encoded);
    else
      fill();
  });
  return found;
}

bool Array::read_chunk(const Shape& index, std::span<std::byte> into, ChunkScratch& scratch) const {
  check_chunk_size(into.size());
  return read(
      index, scratch,
      [&](std::span<const std::byte> encoded) { codec_->decode(encoded, into, scratch.codec); },
      [&] { fill_elements(metadata_->fill_value, into); });
}

bool Array::hold_chunk(const Shape& index, ChunkScratch& scratch) const {
  HeldChunk& held = scratch.held;
  if (held.of == metadata_ && held.index == index) return held.is_stored;
  held.of.reset();  // none, should this one not be read to its end
  held.is_stored = read_chunk(index, scratch.chunk.resize(codec_->chunk_bytes()), scratch);
  held.index = index;
  held.of = metadata_;
  return held.is_stored;
}

bool Array::read_chunk_parts(const Shape& index, std::span<const ChunkPart> parts,
                             ChunkScratch& scratch) const {
  const auto elements = metadata_->chunk_elements();
  const std::size_t itemsize = size_of(metadata_->dtype);
  for (const auto& [first, into] : parts) {
    const auto count = static_cast<std::int64_t>(into.size() / itemsize);
    if (first < 0 || first > elements || count > elements - first || into.size() % itemsize != 0)
      throw Error(ErrorCode::kInternal,
                  fmt::format("asked for elements from {} on of a chunk of {}, into {} bytes", first,
                              elements, into.size()),
                  describe());
  }
  return read(
      index, scratch,
      [&](std::span<const std::byte> encoded) {
        scratch.held.of.reset();
        codec_->decode_parts(encoded, parts, scratch.codec, scratch.chunk);
      },
      [&] {
        for (const ChunkPart& part : parts) fill_elements(metadata_->fill_value, part.into);
      });
}

void Array::read_chunks(
    std::span<const Shape> indices, ChunkScratch& scratch,
    const std::function<void(std::size_t, std::span<const std::byte>)>& visit) const {
  scratch.held.of.reset();
  const auto chunk = [&] { return scratch.chunk.resize(codec_->chunk_bytes()); };
  if (!shards_) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      read_chunk(indices[i], chunk(), scratch);
      visit(i, chunk());
    }
    return;
  }
  for (const auto& [key, members] : by_shard(indices))
    visit_shard(key, members, indices, scratch,
                [&](std::size_t i, const std::span<const std::byte>* encoded) {
                  {
                    const StageScope decoding(Stage::kDecode);
                    if (encoded == nullptr)
                      fill_elements(metadata_->fill_value, chunk());
                    else
                      codec_->decode(*encoded, chunk(), scratch.codec);
                  }
                  visit(i, chunk());
                });
}

std::map<std::string, std::vector<std::size_t>> Array::by_shard(
    std::span<const Shape> indices) const {
  std::map<std::string, std::vector<std::size_t>> shards;
  for (std::size_t i = 0; i < indices.size(); ++i)
    shards[chunk_object_key(indices[i])].push_back(i);
  return shards;
}

template <class Visit>
void Array::visit_shard(const std::string& key, const std::vector<std::size_t>& members,
                        std::span<const Shape> indices, ChunkScratch& scratch, Visit visit) const {
  std::vector<std::size_t> numbers;
  for (const std::size_t i : members) numbers.push_back(number_in_object(indices[i]));
  naming(indices[members.front()], key, [&] {
    shards_->get_many(key, numbers, scratch.encoded, scratch.codec,
                      [&](std::size_t position, const std::span<const std::byte>* encoded) {
                        const std::size_t i = members[position];
                        naming(indices[i], key, [&] { visit(i, encoded); });
                      });
  });
}

void Array::expect_chunks(std::span<const Shape> indices, ChunkScratch& scratch) const {
  if ((!shards_ && store_->reads_at_once() < 2) ||
      indices.size() > static_cast<std::size_t>(kMostExpectedBytes) / codec_->chunk_bytes())
    return;
  ExpectedChunks& expected = scratch.expected;
  const auto is_expected = [&](const Shape& index) { return expected.chunks.contains(index); };
  if (expected.of == metadata_ && std::all_of(indices.begin(), indices.end(), is_expected)) return;
  expected.forget();
  expected.of = metadata_;
  if (!shards_) return fetch_objects(indices, expected);
  for (const auto& [key, members] : by_shard(indices))
    visit_shard(key, members, indices, scratch,
                [&](std::size_t i, const std::span<const std::byte>* encoded) {
                  std::optional<Buffer>& kept = expected.chunks[indices[i]];
                  if (encoded == nullptr) return;
                  kept.emplace(expected.take_spare());
                  std::copy(encoded->begin(), encoded->end(),
                            kept->resize(encoded->size()).begin());
                });
}

void Array::fetch_objects(std::span<const Shape> indices, ExpectedChunks& expected) const {
  std::vector<Buffer> buffers;
  for (std::size_t i = 0; i < indices.size(); ++i) buffers.push_back(expected.take_spare());
  std::vector<char> is_there(indices.size());  // not bool: threads write neighbours
  const StageScope reading(Stage::kRead);
  storage::fan_out(static_cast<std::int64_t>(indices.size()), store_->reads_at_once(),
                   [&](std::int64_t number) {
                     const auto i = static_cast<std::size_t>(number);
                     is_there[i] = store_->get(chunk_object_key(indices[i]), buffers[i]) ? 1 : 0;
                   });
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::optional<Buffer>& kept = expected.chunks[indices[i]];
    if (is_there[i] == 0) continue;
    count_bytes_read(static_cast<std::int64_t>(buffers[i].size()));
    kept.emplace(std::move(buffers[i]));
  }
}

std::span<const std::byte> Array::encode_chunk(std::span<const std::byte> chunk,
                                               ChunkScratch& scratch) const {
  check_chunk_size(chunk.size());
  const StageScope encoding(Stage::kEncode);
  return codec_->encode(chunk, scratch.codec);
}

void Array::write_encoded_chunk(const Shape& index, std::span<const std::byte> encoded) const {
  if (shards_)
    throw Error(ErrorCode::kInternal, "a chunk of a shard was written by itself", describe());
  const std::string key = chunk_object_key(index);
  const StageScope writing(Stage::kWrite);
  store_->put_soon(key, encoded);
  count_bytes_written(static_cast<std::int64_t>(encoded.size()));
}

void Array::write_chunk(const Shape& index, std::span<const std::byte> chunk,
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

void Array::check_index(const Shape& index) const {
  bool inside = index.size() == metadata_->shape.size();
  for (std::size_t i = 0; inside && i < index.size(); ++i)
    // The second comparison is index * chunk < shape without overflow.
    inside = index[i] >= 0 && metadata_->shape[i] > 0 &&
             index[i] <= (metadata_->shape[i] - 1) / metadata_->chunk_shape[i];
  if (!inside)
    throw Error(ErrorCode::kInternal, fmt::format("there is no chunk [{}]", fmt::join(index, ", ")),
                describe());
}

std::string Array::chunk_object_key(const Shape& index) const {
  check_index(index);
  if (!shards_) return join_key(path_, object_key(*metadata_, index));
  const Shape count = metadata_->chunks_per_object();
  Shape shard(index.size());
  for (std::size_t i = 0; i < index.size(); ++i) shard[i] = index[i] / count[i];
  return join_key(path_, object_key(*metadata_, shard));
}

std::int64_t Array::object_number(const Shape& index) const {
  check_index(index);
  const Shape count = metadata_->chunks_per_object();
  const Shape grid = object_grid(*metadata_);
  std::int64_t number = 0;
  for (std::size_t i = 0; i < index.size(); ++i) number = number * grid[i] + index[i] / count[i];
  return number;
}

std::size_t Array::number_in_object(const Shape& index) const {
  const Shape count = metadata_->chunks_per_object();
  std::int64_t number = 0;
  for (std::size_t i = 0; i < index.size(); ++i) number = number * count[i] + index[i] % count[i];
  return static_cast<std::size_t>(number);
}

}  // namespace flatfield::zarr
