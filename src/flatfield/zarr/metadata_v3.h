#pragma once

#include <string>
#include <string_view>

#include "flatfield/core/json.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

/// The file of the Zarr v3 specification that describes a node, array or group.
inline constexpr std::string_view kNodeFileV3 = "zarr.json";

/// A group of Zarr v3.
struct GroupV3 {
  Json attributes;  ///< object
  /// Consolidated metadata: an object with the documents of all nodes below by their path; null if
  /// there are none. A cache that may be out of date: the nodes' own files are what counts.
  Json consolidated;
};

/// True if the text of a `zarr.json` describes an array, false for a group. Every error of this
/// file names `where`: Error(kBadInput) for what is not valid Zarr v3, Error(kUnsupported) for
/// extensions that are not read, by their name.
[[nodiscard]] bool is_array_v3(std::string_view text, const std::string& where);

/// The array that the text of a `zarr.json` describes. Members that are not known are refused
/// unless they say that they need not be understood.
[[nodiscard]] ArrayMetadata parse_array_v3(std::string_view text, const std::string& where);
[[nodiscard]] GroupV3 parse_group_v3(std::string_view text, const std::string& where);

/// The text of a `zarr.json` of metadata that check_codecs_v3 lets pass.
[[nodiscard]] std::string print_array_v3(const ArrayMetadata& metadata);
[[nodiscard]] std::string print_group_v3(const Json& attributes);

}  // namespace flatfield::zarr
