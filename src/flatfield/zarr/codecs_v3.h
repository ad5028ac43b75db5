#pragma once

#include <string>

#include "flatfield/core/json.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

/// An extension of Zarr v3: an object {"name", "configuration"}, or its name alone.
struct NamedConfiguration {
  std::string name;
  Json configuration;  ///< an object, empty where there is none
  std::string path;    ///< of the configuration in its document
};

/// Throws Error(kBadInput) that names `where` and `path` for what is no extension.
[[nodiscard]] NamedConfiguration read_named(const Json& json, const std::string& where,
                                            const std::string& path);

/// The chain that the list of codecs `list` describes, for chunks of `shape` and elements of
/// `dtype`. Throws Error that names `where` and the codec: kUnsupported for codecs, or members of
/// their configurations, that are not known; kBadInput for what is not valid Zarr v3.
[[nodiscard]] CodecChain parse_codecs(const Json& list, const Shape& shape, DType dtype,
                                      const std::string& where, const std::string& path);

/// The list of codecs of a chain without filters, for elements of `dtype`.
[[nodiscard]] Json print_codecs(const CodecChain& chain, DType dtype);

/// Throws Error(kUsage) that names `where` for a chain that this program does not write as Zarr v3.
void check_codecs_v3(const CodecChain& chain, const std::string& where);

}  // namespace flatfield::zarr
