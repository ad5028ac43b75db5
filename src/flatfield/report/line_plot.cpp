#include "flatfield/report/line_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>

#include "flatfield/report/canvas.h"

namespace flatfield::report {
namespace {

// The frame of the diagram within the image, in pixels.
constexpr double kLeft = 92.0;
constexpr double kRight = kPlotWidth - 28.0;
constexpr double kTop = 92.0;
constexpr double kBottom = kPlotHeight - 72.0;

constexpr double kTitleSize = 20.0;
constexpr double kLabelSize = 16.0;
constexpr double kTickSize = 14.0;
constexpr double kTickLength = 6.0;
constexpr double kMarginShare = 0.06;  ///< of the range of y, above and below
constexpr double kLegendSample = 36.0;
constexpr double kLegendGap = 28.0;
constexpr double kCircleRadius = 3.2;
constexpr double kSmallestCircleRadius = 1.2;
constexpr int kTicksX = 10;
constexpr int kTicksY = 8;

struct Range {
  double lo = std::numeric_limits<double>::infinity();
  double hi = -std::numeric_limits<double>::infinity();

  void include(double value) {
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
  /// A range that can be divided by.
  [[nodiscard]] Range opened(double share) const {
    if (!(lo <= hi)) return {0.0, 1.0};
    const double margin = hi > lo ? share * (hi - lo) : std::max(0.5, 0.05 * std::abs(lo));
    return {lo - margin, hi + margin};
  }
};

bool finite(const std::pair<double, double>& point) {
  return std::isfinite(point.first) && std::isfinite(point.second);
}

/// A canvas with the frame of a diagram, and where values lie in it.
class PlotCanvas : public Canvas {
 public:
  PlotCanvas() : Canvas(kPlotWidth, kPlotHeight) {}

  void set_ranges(const Range& x, const Range& y) {
    x_ = x;
    y_ = y;
  }
  [[nodiscard]] double place_x(double x) const {
    return kLeft + (x - x_.lo) / (x_.hi - x_.lo) * (kRight - kLeft);
  }
  [[nodiscard]] double place_y(double y) const {
    return kBottom - (y - y_.lo) / (y_.hi - y_.lo) * (kBottom - kTop);
  }
  [[nodiscard]] const Range& range_x() const { return x_; }
  [[nodiscard]] const Range& range_y() const { return y_; }

 private:
  Range x_;
  Range y_;
};

void draw_grid(const PlotCanvas& canvas) {
  // Lines of one pixel are sharp where they lie in the middle of pixels.
  const auto sharp = [](double place) { return std::floor(place) + 0.5; };
  const auto step_of = [](const std::vector<double>& ticks) {
    return ticks.size() > 1 ? ticks[1] - ticks[0] : 1.0;
  };
  const std::vector<double> ticks_x =
      tick_positions(canvas.range_x().lo, canvas.range_x().hi, kTicksX);
  for (const double tick : ticks_x) {
    const double x = sharp(canvas.place_x(tick));
    canvas.pen(0.85, 1.0);
    canvas.line(x, kTop, x, kBottom);
    canvas.pen(0.0, 1.0);
    canvas.line(x, kBottom, x, kBottom + kTickLength);
    canvas.text(tick_text(tick, step_of(ticks_x)), x, kBottom + kTickLength + kTickSize + 2.0,
                kTickSize, 0.5);
  }
  const std::vector<double> ticks_y =
      tick_positions(canvas.range_y().lo, canvas.range_y().hi, kTicksY);
  for (const double tick : ticks_y) {
    const double y = sharp(canvas.place_y(tick));
    canvas.pen(0.85, 1.0);
    canvas.line(kLeft, y, kRight, y);
    canvas.pen(0.0, 1.0);
    canvas.line(kLeft - kTickLength, y, kLeft, y);
    canvas.text(tick_text(tick, step_of(ticks_y)), kLeft - kTickLength - 4.0, y + 0.36 * kTickSize,
                kTickSize, 1.0);
  }
  cairo_rectangle(canvas.context(), sharp(kLeft), sharp(kTop), std::floor(kRight - kLeft),
                  std::floor(kBottom - kTop));
  canvas.pen(0.0, 1.0);
  cairo_stroke(canvas.context());
}

void set_style(const PlotCanvas& canvas, SeriesStyle style) {
  cairo_t* context = canvas.context();
  const double dashes[] = {9.0, 6.0};
  cairo_set_dash(context, dashes, style == SeriesStyle::kDashed ? 2 : 0, 0.0);
  cairo_set_line_join(context, CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_width(context, style == SeriesStyle::kLine ? 2.2 : 1.4);
  switch (style) {
    case SeriesStyle::kLine: cairo_set_source_rgb(context, 0.05, 0.20, 0.45); break;
    case SeriesStyle::kPoints: cairo_set_source_rgb(context, 0.75, 0.30, 0.05); break;
    case SeriesStyle::kDashed: cairo_set_source_rgb(context, 0.35, 0.35, 0.35); break;
  }
}

/// Circles that hardly overlap, so that the line below many of them can be seen.
double circle_radius(std::size_t points) {
  const double spacing = (kRight - kLeft) / static_cast<double>(std::max<std::size_t>(points, 1));
  return std::clamp(0.5 * spacing, kSmallestCircleRadius, kCircleRadius);
}

void draw_circle(const PlotCanvas& canvas, double x, double y, double radius) {
  cairo_new_sub_path(canvas.context());
  cairo_arc(canvas.context(), x, y, radius, 0.0, 2.0 * std::numbers::pi);
  cairo_stroke(canvas.context());
}

void draw_series(const PlotCanvas& canvas, const Series& series) {
  set_style(canvas, series.style);
  bool drawing = false;
  for (const auto& point : series.points) {
    if (!finite(point)) {
      drawing = false;
      continue;
    }
    const double x = canvas.place_x(point.first);
    const double y = canvas.place_y(point.second);
    if (series.style == SeriesStyle::kPoints) {
      draw_circle(canvas, x, y, circle_radius(series.points.size()));
    } else if (drawing) {
      cairo_line_to(canvas.context(), x, y);
    } else {
      cairo_move_to(canvas.context(), x, y);
      drawing = true;
    }
  }
  cairo_stroke(canvas.context());
}

/// One row of samples and labels above the frame, from its left.
void draw_legend(const PlotCanvas& canvas, const std::vector<Series>& series) {
  double x = kLeft;
  const double y = kTop - 20.0;
  for (const Series& s : series) {
    if (s.label.empty()) continue;
    set_style(canvas, s.style);
    if (s.style == SeriesStyle::kPoints) {
      draw_circle(canvas, x + 0.5 * kLegendSample, y, kCircleRadius);
    } else {
      canvas.line(x, y, x + kLegendSample, y);
    }
    cairo_set_source_rgb(canvas.context(), 0.0, 0.0, 0.0);
    canvas.text(s.label, x + kLegendSample + 8.0, y + 0.36 * kTickSize, kTickSize, 0.0);
    x += kLegendSample + 8.0 + canvas.text_width(s.label, kTickSize) + kLegendGap;
  }
}

void draw_labels(const PlotCanvas& canvas, const LinePlot& plot) {
  cairo_set_source_rgb(canvas.context(), 0.0, 0.0, 0.0);
  canvas.text(fitted(canvas, plot.title, kTitleSize, kRight - kLeft), kLeft, 38.0, kTitleSize, 0.0);
  const double middle_x = 0.5 * (kLeft + kRight);
  canvas.text(plot.x_label, middle_x, kPlotHeight - 18.0, kLabelSize, 0.5);
  cairo_save(canvas.context());
  cairo_translate(canvas.context(), 26.0, 0.5 * (kTop + kBottom));
  cairo_rotate(canvas.context(), -0.5 * std::numbers::pi);
  canvas.text(plot.y_label, 0.0, 0.0, kLabelSize, 0.5);
  cairo_restore(canvas.context());
}

}  // namespace

std::vector<double> tick_positions(double lo, double hi, int wanted) {
  const double width = hi > lo ? hi - lo : 1.0;
  const double power = std::pow(10.0, std::floor(std::log10(width / wanted)));
  double step = 10.0 * power;
  for (const double factor : {1.0, 2.0, 5.0})
    if (width / (factor * power) <= wanted) {
      step = factor * power;
      break;
    }
  std::vector<double> ticks;
  const double tolerance = 1e-9 * width;
  const double first = std::ceil((lo - tolerance) / step);
  // Numbers next to each other may be further apart than a step is wide: then steps make no new tick, or one outside.
  for (int i = 0; i <= wanted; ++i) {
    const double tick = (first + i) * step;
    if (tick >= lo - tolerance && tick <= hi + tolerance && (ticks.empty() || tick > ticks.back())) ticks.push_back(tick);
  }
  if (ticks.empty()) ticks.push_back(0.5 * (lo + hi));
  return ticks;
}

std::vector<std::byte> draw_png(const LinePlot& plot) {
  Range x;
  Range y;
  for (const Series& series : plot.series)
    for (const auto& point : series.points)
      if (finite(point)) {
        x.include(point.first);
        y.include(point.second);
      }
  PlotCanvas canvas;
  canvas.set_ranges(x.opened(x.hi > x.lo ? 0.0 : 1.0), y.opened(kMarginShare));
  draw_grid(canvas);
  for (const Series& series : plot.series) draw_series(canvas, series);
  draw_legend(canvas, plot.series);
  draw_labels(canvas, plot);
  return canvas.png();
}

}  // namespace flatfield::report
