#include "flatfield/zarr/shard_index.h"

#include <fmt/format.h>

#include <climits>
#include <cstring>

#include "flatfield/core/error.h"

namespace flatfield::zarr {
namespace {

Shape with_pairs(Shape grid) {
  grid.push_back(2);
  return grid;
}

std::size_t fixed_size(const ChunkCodec& codec) {
  if (!codec.encoded_bytes())
    throw Error(ErrorCode::kUnsupported,
                "index_codecs: an index whose size depends on its content is not supported", {},
                "write the array with the index codecs bytes and crc32c");
  return *codec.encoded_bytes();
}

/// A range that `offset` and `length` name in an object.
void check_place(const storage::ByteRange& place, std::size_t number, std::uint64_t object_bytes) {
  if (place.offset > object_bytes || place.length > object_bytes - place.offset ||
      place.length > INT_MAX)
    throw Error(
        ErrorCode::kBadInput,
        fmt::format("the index of the shard says that chunk {} has {} bytes from byte {} on, "
                    "but the object has {}",
                    number, place.length, place.offset, object_bytes));
}

}  // namespace

ShardIndexCodec::ShardIndexCodec(const ShardIndexFormat& format, const Shape& grid)
    : codec_(format.codecs, with_pairs(grid), DType::kUint64, std::vector<std::byte>(8)),
      encoded_bytes_(fixed_size(codec_)),
      at_end_(format.at_end) {}

void ShardIndexCodec::decode(std::span<const std::byte> encoded, std::uint64_t object_bytes,
                             CodecScratch& scratch, std::vector<storage::ByteRange>& places) const {
  static_assert(sizeof(storage::ByteRange) == kEntryBytes);
  places.resize(size());
  codec_.decode(encoded, std::as_writable_bytes(std::span(places)), scratch);
  for (std::size_t i = 0; i < places.size(); ++i)
    if (!is_absent(places[i])) check_place(places[i], i, object_bytes);
}

std::span<const std::byte> ShardIndexCodec::encode(std::span<const storage::ByteRange> places,
                                                   CodecScratch& scratch) const {
  return codec_.encode(std::as_bytes(places), scratch);
}

}  // namespace flatfield::zarr
