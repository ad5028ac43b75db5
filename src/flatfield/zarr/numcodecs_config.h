#pragma once

#include <string>

#include "flatfield/core/object_reader.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

/// The codec `id` with a configuration as numcodecs writes it, for elements of `dtype`. Throws
/// Error(kUnsupported) that names the codec if it is not in the table of compressors, or if the
/// configuration asks for a framing that is not read; Error(kBadInput) for members of wrong types.
///
/// Ranges are not checked: encoded data say themselves how they are decoded, and a level that this
/// program would not write must not keep an array from being read.
[[nodiscard]] Compressor read_numcodecs_config(const ObjectReader& config, const std::string& id,
                                               DType dtype);

}  // namespace flatfield::zarr
