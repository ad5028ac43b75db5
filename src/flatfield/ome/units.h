#pragma once

#include <optional>
#include <string_view>

namespace flatfield::ome {

/// A value in other units, of those that NGFF 0.5 names for axes of type space and time ("micrometer", "second", ...);
/// the value itself for the same name. None for units that are not known or measure something else.
[[nodiscard]] std::optional<double> convert_unit(double value, std::string_view from, std::string_view to);

}  // namespace flatfield::ome
