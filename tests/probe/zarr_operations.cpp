// Zarr arrays as a whole: read into, and written from, the bytes of numpy arrays.
#include <array>
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "flatfield/storage/local_store.h"
#include "flatfield/zarr/array.h"
#include "flatfield/zarr/compressors.h"
#include "flatfield/zarr/fill_value.h"
#include "flatfield/zarr/nd_copy.h"
#include "probe.h"

namespace flatfield::test {
namespace {

using Index = std::vector<std::int64_t>;

using zarr::for_each_index;

/// Copies the elements of a chunk that lie in the array, element by element, between a chunk and
/// the whole array in C order.
void copy_chunk(const zarr::ArrayMetadata& metadata, const Index& chunk_index,
                std::span<std::byte> chunk, std::span<std::byte> whole, bool into_whole) {
  const std::size_t itemsize = size_of(metadata.dtype);
  std::size_t in_chunk = 0;
  for_each_index(metadata.chunk_shape, [&](const Index& index) {
    std::int64_t linear = 0;
    bool inside = true;
    for (std::size_t i = 0; i < index.size(); ++i) {
      const std::int64_t position = chunk_index[i] * metadata.chunk_shape[i] + index[i];
      inside = inside && position < metadata.shape[i];
      linear = linear * metadata.shape[i] + position;
    }
    std::byte* element = chunk.data() + itemsize * in_chunk++;
    if (!inside) return;
    std::byte* place = whole.data() + itemsize * static_cast<std::size_t>(linear);
    std::memcpy(into_whole ? place : element, into_whole ? element : place, itemsize);
  });
}

std::size_t whole_bytes(const zarr::ArrayMetadata& metadata) {
  std::size_t bytes = size_of(metadata.dtype);
  for (const std::int64_t n : metadata.shape) bytes *= static_cast<std::size_t>(n);
  return bytes;
}

std::vector<std::int64_t> ints(const Json& list) {
  std::vector<std::int64_t> out;
  for (const Json& element : list.as_array()) out.push_back(element.as_int64());
  return out;
}

/// Reads the array at `path`, or describes why it is refused in place of the bytes. All chunks are
/// read twice: whole, and in two parts.
void read_array(const ProbeCall& call, const std::string& name, const std::string& path) {
  std::vector<std::uint8_t> result;
  std::string refusal;
  try {
    const auto array = zarr::Array::open(storage::open_local_store(path), "");
    const zarr::ArrayMetadata& metadata = array.metadata();
    std::vector<std::byte> whole(whole_bytes(metadata));
    std::vector<std::byte> chunk(metadata.chunk_bytes());
    std::vector<std::byte> parts(metadata.chunk_bytes());
    zarr::ChunkScratch scratch;
    for_each_index(metadata.grid_shape(), [&](const Index& index) {
      array.read_chunk(index, chunk, scratch);
      const std::int64_t count = metadata.chunk_elements();
      const std::int64_t half = count / 2;
      const auto middle = static_cast<std::size_t>(half) * size_of(metadata.dtype);
      const std::array<zarr::ChunkPart, 2> halves{
          {{half, std::span(parts).subspan(middle)}, {0, std::span(parts).first(middle)}}};
      array.read_chunk_parts(index, halves, scratch);
      if (parts != chunk)
        throw std::runtime_error("the parts of a chunk are not the whole: " + path);
      copy_chunk(metadata, index, chunk, whole, true);
    });
    result.resize(whole.size());
    if (!whole.empty()) std::memcpy(result.data(), whole.data(), whole.size());
  } catch (const Error& error) {
    refusal.append(error_code_name(error.code())).append(": ").append(error.what());
  }
  call.put(name, result);
  call.put(name + "_refusal", std::vector<std::uint8_t>(refusal.begin(), refusal.end()));
}

zarr::ArrayMetadata described(const Json& json) {
  zarr::ArrayMetadata metadata;
  metadata.shape = ints(*json.find("shape"));
  metadata.chunk_shape = ints(*json.find("chunks"));
  metadata.dtype = dtype_from_name(json.find("dtype")->as_string()).value();
  if (json.find("big_endian")->as_bool()) metadata.codecs.byte_order = zarr::ByteOrder::kBig;
  if (json.find("order")->as_string() == "F") metadata.codecs.order = zarr::reversed_axes(metadata.shape.size());
  metadata.separator = json.find("separator")->as_string().at(0);
  const Json& fill = *json.find("fill_value");
  metadata.fill_value_is_null = fill.is_null();
  if (!fill.is_null()) metadata.fill_value = zarr::parse_fill_value(fill, metadata.dtype).value();
  if (const Json& config = *json.find("compressor"); !config.is_null()) {
    zarr::Compressor compressor;
    compressor.id = config.find("id")->as_string();
    compressor.level =
        static_cast<int>(config.find(zarr::find_compressor(compressor.id)->level_key)->as_int64());
    if (compressor.id == "blosc") {
      compressor.blosc_cname = config.find("cname")->as_string();
      compressor.blosc_shuffle = static_cast<int>(config.find("shuffle")->as_int64());
    }
    metadata.codecs.compressors.push_back(compressor);
  }
  return metadata;
}

/// Writes the bytes of an array in C order; the chunks that are listed in "missing" are left out.
void write_array(const ProbeCall& call, const std::string& name, const Json& json) {
  const auto array = zarr::Array::create(storage::open_local_store(json.find("path")->as_string()),
                                         "", described(json));
  const zarr::ArrayMetadata& metadata = array.metadata();
  const auto values = call.array<std::uint8_t>(name).values;
  std::vector<std::byte> whole(values.size());
  if (!whole.empty()) std::memcpy(whole.data(), values.data(), values.size());
  std::vector<Index> missing;
  for (const Json& index : json.find("missing")->as_array()) missing.push_back(ints(index));
  std::vector<std::byte> chunk(metadata.chunk_bytes());
  zarr::ChunkScratch scratch;
  for_each_index(metadata.grid_shape(), [&](const Index& index) {
    if (std::find(missing.begin(), missing.end(), index) != missing.end()) return;
    zarr::fill_elements(metadata.fill_value, chunk);
    copy_chunk(metadata, index, chunk, whole, false);
    array.write_chunk(index, chunk, scratch);
  });
}

}  // namespace

void add_zarr_operations(ProbeOperations& operations) {
  // arguments.paths: {name: path}; results: the bytes in C order and native byte order as NAME, or
  // none and why as NAME_refusal.
  operations["read_zarr"] = [](const ProbeCall& call) {
    for (const auto& [name, path] : call.argument("paths").as_object())
      read_array(call, name, path.as_string());
  };
  // arguments.cases: {name: description}; inputs: the bytes as NAME.
  operations["write_zarr"] = [](const ProbeCall& call) {
    for (const auto& [name, json] : call.argument("cases").as_object())
      write_array(call, name, json);
  };
}

}  // namespace flatfield::test
