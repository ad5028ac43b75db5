#include "flatfield/zarr/stored_type.h"

#include <fmt/format.h>

#include "flatfield/core/error.h"

namespace flatfield::zarr {

StoredType parse_stored_type(const ObjectReader& reader, std::string_view key) {
  constexpr std::string_view kRemedy = "convert the array to a numeric type";
  if (reader.require(key).is_array())
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: structured element types are not supported", reader.path_of(key)),
                reader.where(), kRemedy);
  const std::string& text = reader.get_string(key);
  const char order = text.empty() ? '\0' : text.front();
  if (order != '<' && order != '>' && order != '|')
    reader.fail(key, fmt::format("\"{}\" does not begin with one of <, > and |", text));
  const auto dtype = dtype_from_v2_code(std::string_view(text).substr(1));
  if (!dtype)
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("{}: the element type \"{}\" is not supported", reader.path_of(key), text),
        reader.where(), kRemedy);
  if (order == '|' && info(*dtype).swap_size > 1)
    reader.fail(key, fmt::format("\"{}\" says no byte order", text));
  return {*dtype, order == '>' ? ByteOrder::kBig : ByteOrder::kLittle};
}

std::string print_stored_type(const StoredType& type) {
  const DTypeInfo& row = info(type.dtype);
  const char order = row.swap_size == 1 ? '|' : type.byte_order == ByteOrder::kLittle ? '<' : '>';
  return order + std::string(row.v2_code);
}

}  // namespace flatfield::zarr
