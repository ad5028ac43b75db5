#pragma once

#include <string>

#include "flatfield/zarr/array.h"

namespace flatfield::pipeline {

/// SHA-256, as hexadecimal digits, of the elements of an array in C order and little-endian bytes,
/// whatever chunks, codecs and byte order they are stored with; missing chunks count as the fill
/// value. The same as hashlib.sha256(array.tobytes()) of a little-endian numpy array.
[[nodiscard]] std::string array_checksum(const zarr::Array& array);

}  // namespace flatfield::pipeline
