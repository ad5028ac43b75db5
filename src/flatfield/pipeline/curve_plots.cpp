#include "flatfield/pipeline/curve_plots.h"

#include <fmt/format.h>

#include <array>
#include <exception>
#include <utility>

#include "flatfield/pipeline/json_file.h"
#include "flatfield/report/line_plot.h"

namespace flatfield::pipeline {
namespace {

struct Axis {
  const char* name;
  const char* file;  ///< the plane that the original program shows the curve beside
  std::size_t index;
};
constexpr std::array<Axis, 3> kAxes{{{"x", "xy", 2}, {"y", "xz", 1}, {"z", "yz", 0}}};

}  // namespace

report::LinePlot curve_plot(const std::string& axis, const std::string& title_name, const std::vector<float>& curve,
                            const methods::AxisProfile& fit) {
  report::LinePlot plot;
  plot.title = fmt::format("{}: correction curve along {}", title_name, axis);
  plot.x_label = fmt::format("{} (voxels of the corrected level)", axis);
  plot.y_label = "brightness relative to the tile's global level";

  const auto last = static_cast<double>(curve.size() - 1);
  report::Series line{"curve (voxels are divided by it)", report::SeriesStyle::kLine, {}};
  for (std::size_t i = 0; i < curve.size(); ++i)
    line.points.emplace_back(static_cast<double>(i), double{curve[i]});
  // The curve is the spline over the samples 0..n-1, stretched from the first voxel to the last.
  report::Series profile{
      fmt::format("profile ({} planes of the estimation level)", fit.profile.size()),
      report::SeriesStyle::kPoints,
      {}};
  const auto samples = static_cast<double>(fit.profile.size());
  for (std::size_t i = 0; i < fit.profile.size(); ++i)
    profile.points.emplace_back(
        samples > 1.0 ? static_cast<double>(i) * last / (samples - 1.0) : 0.0,
        double{fit.profile[i]});
  if (fit.limits) {
    std::string label = fmt::format("limits {:g} and {:g}", fit.limits->lo, fit.limits->hi);
    for (const double limit : {fit.limits->lo, fit.limits->hi})
      plot.series.push_back(
          {std::exchange(label, ""), report::SeriesStyle::kDashed, {{0.0, limit}, {last, limit}}});
  }
  plot.series.push_back(std::move(profile));
  plot.series.push_back(std::move(line));
  return plot;
}

void save_curve_plots(const std::string& prefix, const std::string& title_name,
                      const Learned& learned, report::Log& log) {
  if (!learned.correction.curves || !learned.fit) return;
  const methods::AxisCurves& curves = *learned.correction.curves;
  const std::array<const std::vector<float>*, 3> values{&curves.z, &curves.y, &curves.x};
  for (const Axis& axis : kAxes) {
    const std::vector<float>& curve = *values[axis.index];
    if (curve.empty()) continue;
    const std::string path = fmt::format("{}_corr_{}.png", prefix, axis.file);
    try {
      write_result_file(path, report::draw_png(curve_plot(axis.name, title_name, curve,
                                                          learned.fit->axes[axis.index])));
    } catch (const std::exception& error) {
      log.warning(
          fmt::format("the correction curve along {} is not drawn: {}", axis.name, error.what()));
    }
  }
}

}  // namespace flatfield::pipeline
