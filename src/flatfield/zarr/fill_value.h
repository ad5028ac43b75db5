#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "flatfield/core/dtype.h"
#include "flatfield/core/json.h"

namespace flatfield::zarr {

/// The element of type `dtype` that a JSON fill value stands for, in native byte order: numbers (an
/// integer may be written as 3.0, a bool as 0 or 1), "NaN", "Infinity" and "-Infinity" for floating
/// point, a pair of these for complex types. None if it stands for no such element, or does not
/// fit.
[[nodiscard]] std::optional<std::vector<std::byte>> parse_fill_value(const Json& value,
                                                                     DType dtype);

/// The same as Zarr v3 writes it: a bool is true or false, and floating point numbers may be given
/// by their bits ("0x7fc00000").
[[nodiscard]] std::optional<std::vector<std::byte>> parse_fill_value_v3(const Json& value,
                                                                        DType dtype);

/// The JSON form of an element of size_of(dtype) bytes.
[[nodiscard]] Json print_fill_value(std::span<const std::byte> element, DType dtype);

/// Fills `into` with copies of `element`, whose size divides that of `into`.
void fill_elements(std::span<const std::byte> element, std::span<std::byte> into);

}  // namespace flatfield::zarr
