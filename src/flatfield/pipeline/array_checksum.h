#pragma once

#include <cstdint>
#include <string>

#include "flatfield/zarr/array.h"

namespace flatfield::pipeline {

/// Memory for the slabs in which an array is read: a row of chunks of planes of 2048 x 2048 uint16 fits.
inline constexpr std::int64_t kChecksumMemoryBytes = std::int64_t{1} << 30;

/// SHA-256, as hexadecimal digits, of the elements of an array in C order and little-endian bytes,
/// whatever chunks, codecs and byte order they are stored with; missing chunks count as the fill
/// value. The same as hashlib.sha256(array.tobytes()) of a little-endian numpy array.
/// Chunks of which fewer layers than all fit into `most_bytes` are read several times.
[[nodiscard]] std::string array_checksum(const zarr::Array& array, std::int64_t most_bytes = kChecksumMemoryBytes);

}  // namespace flatfield::pipeline
