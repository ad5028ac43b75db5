#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "flatfield/core/buffer.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

/// One row of the table of compressors and checksums. All are as numcodecs frames them, on one
/// thread.
struct CompressorInfo {
  std::string_view id;         ///< Zarr v2 id
  std::string_view level_key;  ///< name of the level in the configuration; empty: it has none
  int default_level;           ///< where the configuration has none
  int min_level;
  int max_level;
  /// Decodes all of `encoded` to at most room.size() bytes. The result lies in `room`, or in
  /// `encoded` where a checksum is all that was added. Throws Error(kBadInput), without a place, if
  /// `encoded` is not valid or holds more.
  std::span<const std::byte> (*decode)(std::span<const std::byte> encoded,
                                       std::span<std::byte> room);
  /// Encodes elements of `itemsize` bytes; throws Error(kInternal) if the library fails. Null for
  /// what is only read.
  void (*encode)(const Compressor& compressor, std::size_t itemsize, std::span<const std::byte> raw,
                 Buffer& into);
  /// Bytes that encoding adds, whatever is encoded; none for what makes data smaller.
  std::optional<std::size_t> added_bytes;
};

/// The row of an id; null if there is none.
[[nodiscard]] const CompressorInfo* find_compressor(std::string_view id) noexcept;
/// All ids that can be written, for messages: "blosc, zstd, ...".
[[nodiscard]] std::string compressor_ids();

/// Throws Error(kBadInput), without a place, that says that `found` is not the size of a chunk.
[[noreturn]] void fail_decoded_size(std::size_t found, std::size_t expected);

/// Throws Error(kUsage) that names `where` for a compressor that cannot encode: unknown id, level
/// or cname out of range.
void check_compressor(const Compressor& compressor, std::string_view where);

/// Bytes [offset, offset + into.size()) of what is decoded, and where they go.
struct BytePart {
  std::size_t offset = 0;
  std::span<std::byte> into;
};

/// Decodes parts of what `encoded` holds, in any order: only the blocks that hold some of them, and
/// each once, through `block` if a part needs less than all of it. False (and nothing done) if the
/// blocks are not made of whole elements of the writer. Throws as CompressorInfo::decode, for blosc
/// data that do not hold exactly `whole_size` bytes.
[[nodiscard]] bool decode_blosc_parts(std::span<const std::byte> encoded, std::size_t whole_size,
                                      std::span<const BytePart> parts, Buffer& block);

}  // namespace flatfield::zarr
