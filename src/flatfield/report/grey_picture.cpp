#include "flatfield/report/grey_picture.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "flatfield/report/canvas.h"

namespace flatfield::report {
namespace {

constexpr double kCutShare = 0.005;

}  // namespace

template <class T>
Block<float> reduced_plane(BlockView<const T> plane, std::int64_t step) {
  const Extent3 shape{1, ceil_div(plane.shape.y, step), ceil_div(plane.shape.x, step)};
  Block<float> out(shape);
  for (std::int64_t y = 0; y < shape.y; ++y)
    for (std::int64_t x = 0; x < shape.x; ++x) {
      double sum = 0.0;
      std::int64_t count = 0;
      for (std::int64_t v = y * step; v < std::min(plane.shape.y, (y + 1) * step); ++v)
        for (std::int64_t u = x * step; u < std::min(plane.shape.x, (x + 1) * step); ++u, ++count)
          sum += static_cast<double>(plane.at(0, v, u));
      out.at(0, y, x) = static_cast<float>(sum / static_cast<double>(count));
    }
  return out;
}
template Block<float> reduced_plane(BlockView<const float>, std::int64_t);
template Block<float> reduced_plane(BlockView<const std::uint16_t>, std::int64_t);

std::int64_t reduction_step(const Extent3& shape, std::int64_t longest) {
  return ceil_div(std::max({shape.y, shape.x, std::int64_t{1}}), longest);
}

ValueRange shown_range(const Block<float>& plane) {
  std::vector<float> values;
  for (const float v : plane.span())
    if (std::isfinite(v)) values.push_back(v);
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto cut = static_cast<std::size_t>(kCutShare * static_cast<double>(values.size()));
  const double lo = values[cut];
  const double hi = values[values.size() - 1 - cut];
  if (hi > lo) return {lo, hi};
  const double margin = std::max(0.5, 1e-6 * std::abs(lo));  // beside a large value half a count is nothing
  return {lo - margin, lo + margin};
}

std::vector<std::byte> grey_png(BlockView<const float> plane, ValueRange range) {
  const auto width = static_cast<int>(plane.shape.x);
  const auto height = static_cast<int>(plane.shape.y);
  // An image of coverage alone is written as greys.
  const int stride = cairo_format_stride_for_width(CAIRO_FORMAT_A8, width);
  std::vector<unsigned char> pixels(static_cast<std::size_t>(stride) * static_cast<std::size_t>(height));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double share = (double{plane.at(0, y, x)} - range.lo) / (range.hi - range.lo);
      pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(stride) + static_cast<std::size_t>(x)] =
          static_cast<unsigned char>(std::isfinite(share) ? std::lround(255.0 * std::clamp(share, 0.0, 1.0)) : 0);
    }
  const std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> image(
      cairo_image_surface_create_for_data(pixels.data(), CAIRO_FORMAT_A8, width, height, stride), &cairo_surface_destroy);
  return surface_png(image.get());
}

}  // namespace flatfield::report
