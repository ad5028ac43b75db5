#include "flatfield/methods/correction_numbers.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <vector>

#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

constexpr double kFewestBackgroundCounts = 10.0;

void measure_background(const Block<float>& background, QualityNumbers& out) {
  std::vector<float> values(background.span().begin(), background.span().end());
  const std::span<float> all(values);
  const double median = numerics::median(all);
  const double span = numerics::percentile(all, 99.0) - numerics::percentile(all, 1.0);
  out.background_span = span / std::max(median, kFewestBackgroundCounts);
}

void measure_curves(const AxisCurves& curves, const std::optional<AxisFit>& fit,
                    QualityNumbers& out) {
  out.global_ratio = double{curves.ratio};
  double least = std::numeric_limits<double>::infinity();
  double most = 0.0;
  const std::array<const std::vector<float>*, 3> all{&curves.z, &curves.y, &curves.x};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::vector<float>& curve = *all[axis];
    if (curve.empty()) continue;
    const auto [smallest, largest] = std::minmax_element(curve.begin(), curve.end());
    least = std::min(least, 1.0 / double{*largest});
    most = std::max(most, 1.0 / double{*smallest});
    if (!fit || !fit->axes[axis].limits) continue;
    const auto lo = static_cast<float>(fit->axes[axis].limits->lo);
    const auto hi = static_cast<float>(fit->axes[axis].limits->hi);
    const auto clipped =
        std::count_if(curve.begin(), curve.end(), [&](float c) { return c == lo || c == hi; });
    out.axis_at_limits[axis] = static_cast<double>(clipped) / static_cast<double>(curve.size());
  }
  if (most == 0.0) return;
  out.axis_gain_min = least;
  out.axis_gain_max = most;
}

void measure_flatfield(const Block<float>& flatfield, QualityNumbers& out) {
  const FlatNumbers flat = flat_numbers(flatfield);
  out.flat_std = flat.deviation;
  out.flat_span = flat.span;
  out.flat_min = flat.least;
}

}  // namespace

FlatNumbers flat_numbers(const Block<float>& flatfield) {
  const numerics::Moments moments = numerics::moments(flatfield.span());
  const auto [least, most] = std::minmax_element(flatfield.span().begin(), flatfield.span().end());
  return {moments.deviation / moments.mean, (double{*most} - double{*least}) / moments.mean,
          double{*least} / moments.mean};
}

void measure_correction(const Correction& correction, const std::optional<AxisFit>& fit, QualityNumbers& out) {
  if (correction.background) measure_background(*correction.background, out);
  if (correction.curves) measure_curves(*correction.curves, fit, out);
  if (correction.image) measure_flatfield(correction.image->flatfield, out);
}

}  // namespace flatfield::methods
