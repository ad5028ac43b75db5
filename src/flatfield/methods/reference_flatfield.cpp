#include "flatfield/methods/reference_flatfield.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/numerics/spline_resize.h"

namespace flatfield::methods {
namespace {

template <class Predicate>
void refuse_pixels(BlockView<const float> plane, const char* what, Predicate wrong) {
  std::int64_t count = 0;
  for (std::int64_t y = 0; y < plane.shape.y; ++y)
    count += std::count_if(plane.row(0, y), plane.row(0, y) + plane.shape.x, wrong);
  if (count == 0) return;
  throw Error(ErrorCode::kBadInput,
              std::to_string(count) + " of " + std::to_string(plane.shape.y * plane.shape.x) +
                  " pixels of the flatfield are not " + what);
}

}  // namespace

Block<float> reference_flatfield(BlockView<const float> image, std::int64_t height,
                                 std::int64_t width, const ParallelFor& parallel_for) {
  // The spline would spread one such pixel over the whole image.
  refuse_pixels(image, "finite", [](float v) { return !std::isfinite(v); });
  Block<float> flatfield = numerics::resize_plane(image, height, width, parallel_for);
  const float largest = *std::max_element(flatfield.span().begin(), flatfield.span().end());
  // Where nothing is greater than 0 the pixels are counted as they are.
  if (largest > 0.0F)
    for (float& v : flatfield.span()) v /= largest;
  refuse_pixels(flatfield.view(), "greater than 0", [](float v) { return !(v > 0.0F); });
  return flatfield;
}

}  // namespace flatfield::methods
