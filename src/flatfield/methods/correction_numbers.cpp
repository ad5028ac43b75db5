#include "flatfield/methods/correction_numbers.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "flatfield/methods/stream_percentiles.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

constexpr double kFewestBackgroundCounts = 10.0;
constexpr float kTypicalMost = 1024.0F;
constexpr std::int64_t kSearchBytes = 1 << 20;

void measure_background(const Block<float>& background, QualityNumbers& out) {
  // A plane of full size may have hundreds of MB: it is not copied to be sorted.
  StreamPercentiles percentiles({50.0, 99.0, 1.0}, {kTypicalMost}, kSearchBytes);
  while (!percentiles.done()) {
    percentiles.add(background.view());
    percentiles.end_pass(Merge::alone());
  }
  const std::vector<RankResult> found = percentiles.results();
  const double median = found[0].median();
  out.background_span = (found[1].linear() - found[2].linear()) / std::max(median, kFewestBackgroundCounts);
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
