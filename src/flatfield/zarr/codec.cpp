#include "flatfield/zarr/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/zarr/axis_order.h"
#include "flatfield/zarr/compressors.h"
#include "flatfield/zarr/fill_value.h"
#include "flatfield/zarr/filters.h"
#include "flatfield/zarr/nd_copy.h"
#include "flatfield/zarr/shard_index.h"
#include "flatfield/zarr/stored_type.h"

namespace flatfield::zarr {
namespace {

using ConstBytes = std::span<const std::byte>;
using Bytes = std::span<std::byte>;

/// Filters and compressors of a chain: each is given more room than the one before it.
constexpr std::size_t kMostSteps = 8;
/// Filters change the type of elements, and the widest has eight times the bytes of the narrowest.
constexpr std::size_t kWidestGrowth = 8;

/// What a compressor may make of incompressible data: more than any of the table does. A step whose
/// decoded size nothing tells is given this much room, so that damaged data cannot ask for more; and
/// no more than the arguments of the compressors can say.
std::size_t most_compressed_bytes(std::size_t raw) {
  return std::min<std::size_t>(raw + raw / 2 + (std::size_t{1} << 16), INT_MAX);
}

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t n : shape) count *= n;
  return count;
}

}  // namespace

/// A chunk that is stored as a shard of smaller ones.
struct ChunkCodec::Shard {
  Shard(const ShardingCodec& sharding, const Shape& shape, DType dtype,
        const std::vector<std::byte>& fill_value)
      : grid(divided(shape, sharding.chunk_shape)),
        chunk_shape(sharding.chunk_shape),
        codec(sharding.codecs, sharding.chunk_shape, dtype, fill_value),
        index(sharding.index, grid) {}

  static Shape divided(const Shape& shape, const Shape& chunk_shape) {
    Shape grid(shape.size());
    for (std::size_t i = 0; i < shape.size(); ++i) grid[i] = shape[i] / chunk_shape[i];
    return grid;
  }

  Shape grid;  ///< chunks of the shard
  Shape chunk_shape;
  ChunkCodec codec;
  ShardIndexCodec index;
};

ChunkCodec::ChunkCodec(const CodecChain& chain, Shape shape, DType dtype,
                       std::vector<std::byte> fill_value)
    : stored_shape_(chain.order.empty() ? shape : permuted_shape(shape, chain.order)),
      chunk_shape_(std::move(shape)),
      chunk_bytes_(static_cast<std::size_t>(element_count(chunk_shape_)) * size_of(dtype)),
      itemsize_(size_of(dtype)),
      swap_size_(chain.sharding ? 1 : swap_unit({dtype, chain.byte_order})),
      fill_value_(std::move(fill_value)) {
  if (!chain.order.empty() && !keeps_places(chunk_shape_, chain.order)) {
    order_ = chain.order;
    inverse_ = inverse_order(chain.order);
  }
  if (chain.sharding)
    shard_ = std::make_unique<const Shard>(*chain.sharding, stored_shape_, dtype, fill_value_);
  add_steps(chain);
}

ChunkCodec::~ChunkCodec() = default;
ChunkCodec::ChunkCodec(ChunkCodec&&) noexcept = default;

void ChunkCodec::add_steps(const CodecChain& chain) {
  if (const std::size_t steps = chain.filters.size() + chain.compressors.size(); steps > kMostSteps)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} filters and compressors; at most {} are supported", steps, kMostSteps),
                {}, "write the array with fewer codecs");
  std::optional<std::size_t> bytes = chunk_bytes_;
  std::size_t most = chunk_bytes_;
  if (shard_) {
    bytes.reset();
    most = most_compressed_bytes(chunk_bytes_) + shard_->index.encoded_bytes();
  }
  const auto add = [&](Step step) {
    step.decoded_bytes = bytes;
    step.most_decoded_bytes = most;
    steps_.push_back(std::move(step));
  };
  for (const Filter& filter : chain.filters) {
    Step step;
    step.filter_functions = find_filter(filter.id);
    step.filter = filter;
    if (step.filter_functions == nullptr || !bytes)
      throw Error(ErrorCode::kInternal, "a codec chain was prepared from unchecked metadata");
    add(std::move(step));
    bytes = filtered_bytes(filter, *bytes);
    if (!bytes)
      throw Error(ErrorCode::kBadInput,
                  fmt::format("chunks of {} bytes cannot pass the filter \"{}\"", most, filter.id));
    if (*bytes > std::min(kWidestGrowth * chunk_bytes_, kMaxChunkBytes))
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("the filter \"{}\" makes {} bytes of a chunk of {}", filter.id, *bytes,
                              chunk_bytes_),
                  {}, "write the array without filters");
    most = *bytes;
  }
  for (const Compressor& compressor : chain.compressors) {
    Step step;
    step.functions = find_compressor(compressor.id);
    step.compressor = compressor;
    if (step.functions == nullptr)
      throw Error(ErrorCode::kInternal, "a codec chain was prepared from unchecked metadata");
    const std::optional<std::size_t> added = step.functions->added_bytes;
    add(std::move(step));
    most = added ? most + *added : most_compressed_bytes(most);
    bytes = added && bytes ? std::optional(*bytes + *added) : std::nullopt;
  }
  encoded_bytes_ = bytes;
}

ConstBytes ChunkCodec::undo_step(const Step& step, ConstBytes encoded, Bytes room) const {
  if (step.functions != nullptr) {
    const ConstBytes decoded = step.functions->decode(encoded, room);
    if (step.decoded_bytes && decoded.size() != *step.decoded_bytes)
      fail_decoded_size(decoded.size(), *step.decoded_bytes);
    return decoded;
  }
  const std::size_t expected = *filtered_bytes(step.filter, *step.decoded_bytes);
  if (encoded.size() != expected) fail_decoded_size(encoded.size(), expected);
  step.filter_functions->decode(step.filter, encoded, room.first(*step.decoded_bytes));
  return room.first(*step.decoded_bytes);
}

ConstBytes ChunkCodec::undo_last_steps(std::size_t first, ConstBytes encoded,
                                       CodecScratch& scratch) const {
  // Compressors take no more: they would see only the first bytes.
  if (encoded.size() > INT_MAX)
    throw Error(ErrorCode::kBadInput,
                fmt::format("{} bytes are too many for a chunk that decodes to {}", encoded.size(), chunk_bytes_));
  int used = 0;  // the buffer that `encoded` may lie in
  for (std::size_t i = steps_.size(); i-- > first;) {
    const Step& step = steps_[i];
    if (step.functions != nullptr && step.functions->added_bytes) {  // needs no room
      encoded = undo_step(step, encoded, {});
      continue;
    }
    used = 1 - used;
    const Bytes room =
        scratch.between[static_cast<std::size_t>(used)].resize(step.most_decoded_bytes);
    encoded = undo_step(step, encoded, room);
  }
  return encoded;
}

void ChunkCodec::undo_steps(ConstBytes encoded, Bytes into, CodecScratch& scratch) const {
  ConstBytes bytes = encoded;
  if (!steps_.empty())
    bytes = undo_step(steps_.front(), undo_last_steps(1, encoded, scratch), into);
  if (bytes.size() != into.size())
    throw Error(ErrorCode::kBadInput,
                fmt::format("the chunk has {} bytes, expected {}", bytes.size(), into.size()));
  if (bytes.data() != into.data()) std::copy(bytes.begin(), bytes.end(), into.begin());
}

void ChunkCodec::decode(ConstBytes encoded, Bytes into, CodecScratch& scratch) const {
  const Bytes stored = order_.empty() ? into : scratch.stored.resize(chunk_bytes_);
  if (shard_)
    decode_shard(undo_last_steps(0, encoded, scratch), stored, scratch);
  else
    undo_steps(encoded, stored, scratch);
  swap_bytes(stored, swap_size_);
  if (!order_.empty()) permute_axes(stored, into, stored_shape_, inverse_, itemsize_);
}

void ChunkCodec::decode_shard(ConstBytes bytes, Bytes into, CodecScratch& scratch) const {
  const std::size_t index_bytes = shard_->index.encoded_bytes();
  if (bytes.size() < index_bytes)
    throw Error(ErrorCode::kBadInput, fmt::format("the shard has {} bytes, its index needs {}",
                                                  bytes.size(), index_bytes));
  CodecScratch& inner = scratch.inner_scratch();
  shard_->index.decode(
      shard_->index.is_at_end() ? bytes.last(index_bytes) : bytes.first(index_bytes), bytes.size(),
      inner, scratch.places);
  const Bytes chunk = scratch.chunk.resize(shard_->codec.chunk_bytes());
  const Shape zeros(stored_shape_.size(), 0);
  Shape origin(stored_shape_.size());
  std::size_t number = 0;
  for_each_index(shard_->grid, [&](const Shape& index) {
    const storage::ByteRange place = scratch.places[number++];
    if (is_absent(place))
      fill_elements(fill_value_, chunk);
    else
      shard_->codec.decode(bytes.subspan(place.offset, place.length), chunk, inner);
    for (std::size_t i = 0; i < index.size(); ++i) origin[i] = index[i] * shard_->chunk_shape[i];
    copy_box({chunk.data(), shard_->chunk_shape, zeros}, {into.data(), stored_shape_, origin},
             shard_->chunk_shape, itemsize_);
  });
}

bool ChunkCodec::decode_only_parts(ConstBytes encoded, std::span<const ChunkPart> parts,
                                   CodecScratch& scratch, Buffer& block) const {
  const bool is_blosc = !steps_.empty() && steps_.front().functions != nullptr &&
                        steps_.front().compressor.id == "blosc";
  if (!is_blosc || shard_ || !order_.empty()) return false;
  const ConstBytes bytes = undo_last_steps(1, encoded, scratch);
  std::vector<BytePart> places;
  places.reserve(parts.size());
  for (const ChunkPart& part : parts)
    places.push_back({static_cast<std::size_t>(part.first) * itemsize_, part.into});
  if (!decode_blosc_parts(bytes, chunk_bytes_, places, block)) return false;
  for (const ChunkPart& part : parts) swap_bytes(part.into, swap_size_);
  return true;
}

void ChunkCodec::decode_parts(ConstBytes encoded, std::span<const ChunkPart> parts,
                              CodecScratch& scratch, Buffer& chunk) const {
  if (decode_only_parts(encoded, parts, scratch, chunk)) return;
  const Bytes whole = chunk.resize(chunk_bytes_);
  decode(encoded, whole, scratch);
  for (const ChunkPart& part : parts) {
    const auto bytes =
        whole.subspan(static_cast<std::size_t>(part.first) * itemsize_, part.into.size());
    std::copy(bytes.begin(), bytes.end(), part.into.begin());
  }
}

ConstBytes ChunkCodec::encode(ConstBytes chunk, CodecScratch& scratch) const {
  ConstBytes bytes = chunk;
  if (!order_.empty() || swap_size_ > 1) {
    const Bytes stored = scratch.stored.resize(chunk_bytes_);
    if (order_.empty())
      std::copy(chunk.begin(), chunk.end(), stored.begin());
    else
      permute_axes(chunk, stored, chunk_shape_, order_, itemsize_);
    swap_bytes(stored, swap_size_);
    bytes = stored;
  }
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    Buffer& encoded = scratch.between[i % 2];
    steps_[i].functions->encode(steps_[i].compressor, itemsize_, bytes, encoded);
    bytes = encoded.span();
  }
  return bytes;
}

}  // namespace flatfield::zarr
