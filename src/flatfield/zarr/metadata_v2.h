#pragma once

#include <string>
#include <string_view>

#include "flatfield/core/json.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

// The files of the Zarr v2 specification that describe a node.
inline constexpr std::string_view kArrayFileV2 = ".zarray";
inline constexpr std::string_view kGroupFileV2 = ".zgroup";
inline constexpr std::string_view kAttributesFileV2 = ".zattrs";

/// The metadata that the text of a `.zarray` holds, without attributes. Unknown keys are ignored,
/// as the specification asks. Every error names `where`: Error(kBadInput) for what is not valid
/// Zarr v2, Error(kUnsupported) for structured and other element types, filters that parse_filter
/// does not know or that stand behind a compressor, unknown compressors and other values of
/// `zarr_format`.
[[nodiscard]] ArrayMetadata parse_array_v2(std::string_view text, const std::string& where);
/// The text of a `.zarray` as zarr-python 2 writes it.
[[nodiscard]] std::string print_array_v2(const ArrayMetadata& metadata);

/// The object in the text of a `.zattrs`. Throws Error(kBadInput) that names `where`.
[[nodiscard]] Json parse_attributes_v2(std::string_view text, const std::string& where);
[[nodiscard]] std::string print_attributes_v2(const Json& attributes);

/// The text of a `.zgroup`.
[[nodiscard]] std::string print_group_v2();

}  // namespace flatfield::zarr
