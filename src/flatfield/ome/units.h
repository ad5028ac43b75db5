#pragma once

#include <optional>
#include <string_view>

namespace flatfield::ome {

/// How many of `to` a `from` is, of the units that NGFF 0.5 names for axes of type space and time ("micrometer",
/// "second", ...); 1 for the same name. None for units that are not known or measure something else.
[[nodiscard]] std::optional<double> unit_factor(std::string_view from, std::string_view to);

}  // namespace flatfield::ome
