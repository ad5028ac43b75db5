#pragma once

#include <cstdint>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::numerics {

/// Two libraries' ideas of linear resizing with anti-aliasing.
enum class LinearResize {
  /// skimage.transform.resize(plane, shape, order=1, mode="reflect", preserve_range=True) with its
  /// default anti-aliasing: a Gaussian of sigma (f - 1) / 2 along each axis that shrinks by f, then
  /// interpolation at pixel centres. Boundary: whole-sample reflection (d c b | a b c d | c b a).
  kSkimage,
  /// jax.image.resize(plane, shape, "linear"): a triangle as wide as the larger pixel, its weights
  /// normalised where they reach beyond the border.
  kJax,
};

/// Resizes a (1, y, x) plane to (1, height, width). Accumulated in double; float32 where the
/// library stores float32, so that kSkimage agrees with scikit-image within 1 ulp and kJax with jax
/// within the rounding of its float32 sums. The same shape is an exact copy. The plane holds only
/// finite values. Throws Error(kInternal) for an empty plane, or a height or width below 1.
[[nodiscard]] Block<float> resize_linear(BlockView<const float> plane, std::int64_t height,
                                         std::int64_t width, LinearResize mode,
                                         const ParallelFor& parallel_for);

}  // namespace flatfield::numerics
