#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "flatfield/core/block.h"

namespace flatfield::report {

/// A plane (1, y, x) as the bytes of a PNG file, in shades from dark blue over green to yellow that get steadily
/// brighter: half a percent of the values at either end is not told apart, and a bar beside it says which shade is which
/// value. A large plane is drawn smaller, each pixel being the mean of those that it stands for. Values that are not
/// finite are white. Throws Error(kInternal) where the drawing library fails.
[[nodiscard]] std::vector<std::byte> draw_plane_png(BlockView<const float> plane, const std::string& title,
                                                    const std::string& value_label);

}  // namespace flatfield::report
