#include "array_exercise.h"

#include <array>
#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "expectation.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/zarr/array.h"
#include "flatfield/zarr/codec_memory.h"
#include "flatfield/zarr/fill_value.h"
#include "flatfield/zarr/metadata_v2.h"
#include "flatfield/zarr/metadata_v3.h"
#include "flatfield/zarr/read_box.h"
#include "flatfield/zarr/shard_writer.h"

namespace flatfield::fuzz {
namespace {

using Bytes = std::vector<std::byte>;
using zarr::Array;
using zarr::ArrayMetadata;
using zarr::ChunkScratch;
using zarr::Shape;

/// Larger chunks are only described, not read: the fuzzer is to spend its time on small ones.
constexpr std::size_t kLargestChunk = 1 << 14;
constexpr std::int64_t kMostChunks = 8;
constexpr std::int64_t kMostChunksWritten = 1 << 12;
constexpr std::byte kOneStain{0xaa};
constexpr std::byte kOtherStain{0x55};

template <class Read>
bool reads(Read read) {
  return accepts({ErrorCode::kBadInput, ErrorCode::kUnsupported}, read);
}

/// Memory that others have used.
void stain(zarr::CodecScratch& scratch, int depth) {
  constexpr std::size_t kBytes = 4096;
  for (Buffer* buffer : {&scratch.stored, &scratch.between[0], &scratch.between[1], &scratch.chunk})
    std::ranges::fill(buffer->resize(kBytes), kOtherStain);
  if (depth > 0) stain(scratch.inner_scratch(), depth - 1);
}

std::int64_t chunks_of_object(const ArrayMetadata& metadata) {
  std::int64_t count = 1;
  for (const std::int64_t n : metadata.chunks_per_object()) count *= n;
  return count;
}

void check_metadata(const ArrayMetadata& metadata) {
  const std::size_t ndim = metadata.shape.size();
  require(metadata.chunk_shape.size() == ndim, "chunks of another number of axes");
  require(metadata.chunk_bytes() <= zarr::kMaxChunkBytes, "chunks that are too large");
  require(metadata.fill_value.size() == size_of(metadata.dtype), "a fill value of another size");
  require(metadata.dimension_names.empty() || metadata.dimension_names.size() == ndim,
          "a wrong number of names");
  for (std::size_t i = 0; i < ndim; ++i)
    require(metadata.shape[i] >= 0 && metadata.chunk_shape[i] >= 1, "sizes out of range");
  require(zarr::decoder_bytes(metadata) >= 0, "less memory than none");
  if (!metadata.is_sharded()) return;
  for (std::size_t i = 0; i < ndim; ++i)
    require(metadata.shard_shape[i] % metadata.chunk_shape[i] == 0, "shards of broken chunks");
  require(chunks_of_object(metadata) <= zarr::kMaxChunksPerShard, "shards of too many chunks");
}

/// Some chunks of the array: the first ones, and the last.
std::vector<Shape> some_chunks(const ArrayMetadata& metadata) {
  const Shape grid = metadata.grid_shape();
  std::vector<Shape> chunks;
  if (std::ranges::find(grid, 0) != grid.end()) return chunks;
  Shape index(grid.size(), 0);
  while (static_cast<std::int64_t>(chunks.size()) < kMostChunks) {
    chunks.push_back(index);
    std::size_t axis = grid.size();
    while (axis > 0 && ++index[axis - 1] == grid[axis - 1]) index[--axis] = 0;
    if (axis == 0) return chunks;
  }
  Shape last = grid;
  for (std::int64_t& i : last) --i;
  chunks.push_back(last);
  return chunks;
}

/// Reads a chunk into memory full of `stain`; none if it is refused.
std::optional<Bytes> read_one(const Array& array, const Shape& index, std::byte stain,
                              ChunkScratch& scratch, bool& found) {
  Bytes chunk(array.metadata().chunk_bytes(), stain);
  if (!reads([&] { found = array.read_chunk(index, chunk, scratch); })) return std::nullopt;
  return chunk;
}

/// The same in two parts.
std::optional<Bytes> read_halves(const Array& array, const Shape& index, ChunkScratch& scratch) {
  const std::int64_t count = array.metadata().chunk_elements();
  const auto middle = static_cast<std::size_t>(count / 2) * size_of(array.metadata().dtype);
  Bytes chunk(array.metadata().chunk_bytes(), kOtherStain);
  const std::array<zarr::ChunkPart, 2> halves{{{0, std::span(chunk).first(middle)},
                                         {count / 2, std::span(chunk).subspan(middle)}}};
  if (!reads([&] { array.read_chunk_parts(index, halves, scratch); })) return std::nullopt;
  return chunk;
}

/// The chunks of `indices`, none for those that are refused.
std::vector<std::optional<Bytes>> read_chunks(const Array& array,
                                              const std::vector<Shape>& indices) {
  ChunkScratch stained;
  stain(stained.codec, 2);
  std::vector<std::optional<Bytes>> chunks;
  for (const Shape& index : indices) {
    ChunkScratch fresh;
    bool found = false;
    bool found_again = false;
    const auto chunk = read_one(array, index, kOneStain, fresh, found);
    const auto again = read_one(array, index, kOtherStain, stained, found_again);
    require(chunk == again, "a chunk depends on what was in memory before");
    require(found == found_again, "a chunk is there only once");
    const auto halves = read_halves(array, index, fresh);
    require(!halves || halves == chunk, "the halves of a chunk are not the whole");
    chunks.push_back(chunk);
  }
  const bool all = std::ranges::all_of(chunks, [](const auto& chunk) { return chunk.has_value(); });
  std::vector<std::optional<Bytes>> together(indices.size());
  const bool together_read = reads([&] {
    array.read_chunks(indices, stained, [&](std::size_t i, std::span<const std::byte> chunk) {
      together[i].emplace(chunk.begin(), chunk.end());
    });
  });
  require(together_read == all, "chunks are read together, but not one by one, or the reverse");
  if (all) require(together == chunks, "chunks that are read together are others");
  return chunks;
}

/// The whole of a small array.
void read_all(const Array& array) {
  std::size_t bytes = size_of(array.metadata().dtype);
  for (const std::int64_t n : array.metadata().shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(n), &bytes) ||
        bytes > kLargestChunk * kMostChunks)
      return;
  for (std::size_t i = 0; i < array.metadata().shape.size(); ++i)
    if (array.metadata().grid_shape()[i] > kMostChunks) return;
  const Shape origin(array.metadata().shape.size(), 0);
  Bytes one(bytes, kOneStain);
  Bytes other(bytes, kOtherStain);
  ChunkScratch scratch;
  const bool first =
      reads([&] { zarr::read_box(array, origin, array.metadata().shape, one, scratch); });
  const bool second =
      reads([&] { zarr::read_box(array, origin, array.metadata().shape, other, scratch); });
  require(first == second && (!first || one == other), "an array depends on what was in memory");
}

std::string printed(const ArrayMetadata& metadata) {
  return metadata.zarr_format == 3 ? zarr::print_array_v3(metadata) : zarr::print_array_v2(metadata);
}

void write_shard(const Array& array, const Shape& index, const Bytes& chunk, ChunkScratch& scratch) {
  // The chunk comes twice, so that the writer has to put chunks in order.
  const std::size_t number = array.number_in_object(index);
  std::vector<std::size_t> order{number};
  if (number > 0) order = {number, number - 1};
  zarr::ShardWriter writer(array, index, order,
                           std::make_shared<zarr::ReorderBuffer>(std::size_t{1} << 20));
  const std::span<const std::byte> encoded = array.encode_chunk(chunk, scratch);
  if (number > 0) writer.put(number - 1, encoded);
  writer.put(number, encoded);
  writer.finish();
}

/// Writes an array like this one, if that is possible, and reads it back.
void write_again(const Array& array, const Shape& index, const Bytes& chunk) {
  const auto store = std::make_shared<storage::MemoryStore>();
  std::optional<Array> copy;
  if (!accepts({ErrorCode::kUsage, ErrorCode::kUnsupported},
               [&] { copy.emplace(Array::create(store, "", array.metadata())); }))
    return;
  const Array reread = Array::open(store, "");
  require(printed(reread.metadata()) == printed(copy->metadata()),
          "what was written is described otherwise");
  require(zarr::encoder_bytes(copy->metadata()) >= 0, "less memory than none");
  if (chunks_of_object(copy->metadata()) > kMostChunksWritten) return;
  ChunkScratch scratch;
  if (copy->metadata().is_sharded())
    write_shard(*copy, index, chunk, scratch);
  else
    copy->write_chunk(index, chunk, scratch);
  Bytes back(chunk.size());
  require(reread.read_chunk(index, back, scratch), "a chunk that was written is not there");
  require(back == chunk, "what was written is read otherwise");
}

}  // namespace

void exercise_array(const std::shared_ptr<storage::Store>& store, const std::string& path,
                    int zarr_format) {
  std::optional<Array> array;
  if (!accepts({ErrorCode::kBadInput, ErrorCode::kUnsupported, ErrorCode::kNotFound},
               [&] { array.emplace(Array::open(store, path, zarr_format)); }))
    return;
  const ArrayMetadata& metadata = array->metadata();
  check_metadata(metadata);
  static_cast<void>(zarr::print_fill_value(metadata.fill_value, metadata.dtype));
  if (metadata.chunk_bytes() > kLargestChunk) return;
  const std::vector<Shape> indices = some_chunks(metadata);
  const std::vector<std::optional<Bytes>> chunks = read_chunks(*array, indices);
  read_all(*array);
  for (std::size_t i = chunks.size(); i-- > 0;)
    if (chunks[i]) return write_again(*array, indices[i], *chunks[i]);
}

}  // namespace flatfield::fuzz
