#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace flatfield::report {

/// How the values of a series are drawn. All can be told apart in black and white.
enum class SeriesStyle : std::uint8_t {
  kLine,    ///< a dark line
  kPoints,  ///< open circles
  kDashed,  ///< a dashed line
};

/// Pairs of x and y. Pairs that are not finite are left out, and interrupt a line.
struct Series {
  std::string label;  ///< in the legend; "" = not in it
  SeriesStyle style = SeriesStyle::kLine;
  std::vector<std::pair<double, double>> points;
};

/// A diagram with linear axes, which reach over all series.
struct LinePlot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
};

/// Width and height of the drawn image, in pixels.
inline constexpr int kPlotWidth = 1100;
inline constexpr int kPlotHeight = 660;

/// Places of tick marks: multiples of 1, 2 or 5 times a power of ten within [lo, hi], about
/// `wanted` of them and at least one. lo <= hi, both finite.
[[nodiscard]] std::vector<double> tick_positions(double lo, double hi, int wanted);

/// The diagram as the bytes of a PNG file: tick labels, grid, legend below the title. The text
/// needs a font of the system (any sans serif). Throws Error(kInternal) where the drawing library
/// fails.
[[nodiscard]] std::vector<std::byte> draw_png(const LinePlot& plot);

}  // namespace flatfield::report
