#pragma once

#include <span>

namespace flatfield::numerics {

/// skimage.filters.threshold_otsu(values) of float32 values: the centre of that one of 256 equal
/// bins between their extremes above which the variance between the two classes is largest; the
/// value itself if all are equal. Sums are in double (scikit-image: float32 counts), so where two
/// bins all but tie the neighbouring one may win. `values` holds no NaN; throws Error(kInternal) if
/// it is empty.
[[nodiscard]] float otsu_threshold(std::span<const float> values);

}  // namespace flatfield::numerics
