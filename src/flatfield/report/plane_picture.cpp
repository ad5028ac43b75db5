#include "flatfield/report/plane_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>

#include "flatfield/report/canvas.h"
#include "flatfield/report/grey_picture.h"
#include "flatfield/report/line_plot.h"

namespace flatfield::report {
namespace {

constexpr std::int64_t kLongestSide = 900;  ///< of the plane in the picture, in pixels
constexpr double kMargin = 28.0;
constexpr double kTop = 64.0;
constexpr double kBarGap = 28.0;
constexpr double kBarWidth = 26.0;
constexpr double kLabelRoom = 130.0;
constexpr double kShortestBar = 160.0;
constexpr double kTitleSize = 18.0;
constexpr double kTickSize = 14.0;
constexpr int kTicks = 6;

struct Colour {
  double red, green, blue;
};

/// Shades whose brightness rises evenly (after viridis, van der Walt and Smith 2015).
Colour shade(double share) {
  constexpr std::array<Colour, 6> kStops{{{0.267, 0.005, 0.329},
                                          {0.254, 0.265, 0.530},
                                          {0.164, 0.471, 0.558},
                                          {0.135, 0.659, 0.518},
                                          {0.478, 0.821, 0.318},
                                          {0.993, 0.906, 0.144}}};
  const double place = std::clamp(share, 0.0, 1.0) * (kStops.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(place), kStops.size() - 2);
  const double t = place - static_cast<double>(below);
  const auto mix = [&](double a, double b) { return (1.0 - t) * a + t * b; };
  const Colour& a = kStops[below];
  const Colour& b = kStops[below + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

void fill(const Canvas& canvas, const Colour& colour, double x, double y, double width, double height) {
  cairo_set_source_rgb(canvas.context(), colour.red, colour.green, colour.blue);
  cairo_rectangle(canvas.context(), x, y, width, height);
  cairo_fill(canvas.context());
}

void draw_pixels(const Canvas& canvas, const Block<float>& plane, double lo, double hi, int zoom) {
  const auto width = static_cast<int>(plane.shape().x);
  const auto height = static_cast<int>(plane.shape().y);
  const int stride = cairo_format_stride_for_width(CAIRO_FORMAT_RGB24, width);
  std::vector<std::uint32_t> pixels(static_cast<std::size_t>(stride / 4) * static_cast<std::size_t>(height), 0xffffff);
  const auto byte = [](double value) { return static_cast<std::uint32_t>(std::lround(255.0 * value)); };
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double value = plane.at(0, y, x);
      if (!std::isfinite(value)) continue;
      const Colour colour = shade((value - lo) / (hi - lo));
      pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(stride / 4) + static_cast<std::size_t>(x)] =
          byte(colour.red) << 16U | byte(colour.green) << 8U | byte(colour.blue);
    }
  const std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> image(
      cairo_image_surface_create_for_data(reinterpret_cast<unsigned char*>(pixels.data()), CAIRO_FORMAT_RGB24, width,
                                          height, stride),
      &cairo_surface_destroy);
  cairo_save(canvas.context());
  cairo_translate(canvas.context(), kMargin, kTop);
  cairo_scale(canvas.context(), zoom, zoom);
  cairo_set_source_surface(canvas.context(), image.get(), 0.0, 0.0);
  cairo_pattern_set_filter(cairo_get_source(canvas.context()), CAIRO_FILTER_NEAREST);
  cairo_paint(canvas.context());
  cairo_restore(canvas.context());
}

}  // namespace

std::vector<std::byte> draw_plane_png(BlockView<const float> plane, const std::string& title,
                                      const std::string& value_label) {
  const Block<float> small = reduced_plane(plane, reduction_step(plane.shape, kLongestSide));
  // Small planes are drawn larger: several pixels for one of theirs.
  const auto zoom = static_cast<int>(std::max<std::int64_t>(1, kLongestSide / 2 / std::max(small.shape().y, small.shape().x)));
  const double width = zoom * static_cast<double>(small.shape().x);
  const double height = zoom * static_cast<double>(small.shape().y);
  const double bar_height = std::max(height, kShortestBar);
  const double bar_x = kMargin + width + kBarGap;
  const double picture_width = bar_x + kBarWidth + kLabelRoom;
  const Canvas canvas(static_cast<int>(picture_width), static_cast<int>(kTop + bar_height + kMargin));
  const auto [lo, hi] = shown_range(small);
  draw_pixels(canvas, small, lo, hi, zoom);
  const auto rows = static_cast<int>(bar_height);
  for (int row = 0; row < rows; ++row) fill(canvas, shade(1.0 - (row + 0.5) / rows), bar_x, kTop + row, kBarWidth, 1.0);
  canvas.pen(0.0, 1.0);
  const std::vector<double> ticks = tick_positions(lo, hi, kTicks);
  for (const double tick : ticks) {
    const double y = kTop + (hi - tick) / (hi - lo) * bar_height;
    canvas.line(bar_x + kBarWidth, y, bar_x + kBarWidth + 5.0, y);
    canvas.text(tick_text(tick, ticks.size() > 1 ? ticks[1] - ticks[0] : 1.0), bar_x + kBarWidth + 9.0,
                y + 0.36 * kTickSize, kTickSize, 0.0);
  }
  canvas.text(fitted(canvas, title, kTitleSize, picture_width - 2.0 * kMargin), kMargin, 28.0, kTitleSize, 0.0);
  canvas.text(fitted(canvas, value_label, kTickSize, kBarWidth + kLabelRoom), bar_x, kTop - 10.0, kTickSize, 0.0);
  return canvas.png();
}

}  // namespace flatfield::report
