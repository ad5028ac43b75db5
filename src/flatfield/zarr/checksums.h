#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "flatfield/core/buffer.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

inline constexpr std::size_t kChecksumBytes = 4;

// Decoders of the table in compressors.h. They give the bytes without their checksum, which is
// stored in little-endian order; Error(kBadInput), without a place, if it is not theirs.

/// `crc32c` of Zarr v3 and numcodecs: behind the bytes.
[[nodiscard]] std::span<const std::byte> check_crc32c_at_end(std::span<const std::byte> encoded,
                                                             std::span<std::byte> room);
/// `crc32` of numcodecs: before the bytes.
[[nodiscard]] std::span<const std::byte> check_crc32_at_start(std::span<const std::byte> encoded,
                                                              std::span<std::byte> room);
/// `adler32` of numcodecs: before the bytes.
[[nodiscard]] std::span<const std::byte> check_adler32_at_start(std::span<const std::byte> encoded,
                                                                std::span<std::byte> room);

/// The encoder of `crc32c`.
void append_crc32c(const Compressor& compressor, std::size_t itemsize,
                   std::span<const std::byte> raw, Buffer& into);

}  // namespace flatfield::zarr
