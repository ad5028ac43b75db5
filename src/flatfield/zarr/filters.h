#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "flatfield/core/json.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

/// One row of the table of filters of Zarr v2, all as numcodecs has them. They are read, and never
/// written.
struct FilterInfo {
  std::string_view id;
  /// Decodes all elements of `encoded` into `into`, which has room for exactly as many.
  void (*decode)(const Filter& filter, std::span<const std::byte> encoded,
                 std::span<std::byte> into);
};

/// The row of an id; null if there is none.
[[nodiscard]] const FilterInfo* find_filter(std::string_view id) noexcept;
/// All ids, for messages.
[[nodiscard]] std::string filter_ids();

/// The filter that an object of the member `filters` describes, for an array of elements `type`;
/// `path` is its place in the document. Throws Error that names `where`: kUnsupported for an id
/// that is not in the table and for types that the filter is not read with, kBadInput for what
/// numcodecs would not write.
[[nodiscard]] Filter parse_filter(const Json& json, const StoredType& type,
                                  const std::string& where, const std::string& path);

/// Bytes that `decoded_bytes` bytes are encoded to; none if they are no whole number of elements.
[[nodiscard]] std::optional<std::size_t> filtered_bytes(const Filter& filter,
                                                        std::size_t decoded_bytes);

}  // namespace flatfield::zarr
