#pragma once

#include <bit>
#include <cstddef>
#include <string>
#include <string_view>

#include "flatfield/core/dtype.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::zarr {

inline constexpr ByteOrder kNativeOrder =
    std::endian::native == std::endian::little ? ByteOrder::kLittle : ByteOrder::kBig;

/// Bytes of the unit whose order must be reversed to make an element native; 1 = none.
[[nodiscard]] inline std::size_t swap_unit(const StoredType& type) {
  return type.byte_order == kNativeOrder ? 1 : info(type.dtype).swap_size;
}

/// The element type that a type string of numpy in the member `key` names, e.g. ">u2". Throws as
/// the reader does for what is no such string, Error(kUnsupported) for types that are not numbers.
[[nodiscard]] StoredType parse_stored_type(const ObjectReader& reader, std::string_view key);

/// The type string of a type.
[[nodiscard]] std::string print_stored_type(const StoredType& type);

}  // namespace flatfield::zarr
