#include "flatfield/methods/quality.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/methods/mask_agreement.h"
#include "flatfield/methods/plane_samples.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

constexpr float kSaturated = 65535.0F;
constexpr double kBrightPercentile = 99.9;
constexpr double kFewestBackgroundCounts = 10.0;
constexpr double kAgreementSigma = 1.0;
constexpr std::size_t kEntropyBins = 100;

/// The voxels inside the mask, in C order.
std::vector<float> masked_values(BlockView<const float> volume, BitView mask,
                                 const ParallelFor& parallel_for) {
  const Extent3& shape = volume.shape;
  std::vector<std::int64_t> first(static_cast<std::size_t>(shape.z) + 1);
  parallel_for(shape.z, [&](std::int64_t z) {
    first[static_cast<std::size_t>(z) + 1] =
        mask.sub({{z, 0, 0}, {1, shape.y, shape.x}}).count();
  });
  for (std::size_t z = 1; z < first.size(); ++z) first[z] += first[z - 1];
  std::vector<float> values(static_cast<std::size_t>(first.back()));
  parallel_for(shape.z, [&](std::int64_t z) {
    float* next = values.data() + first[static_cast<std::size_t>(z)];
    for (std::int64_t y = 0; y < shape.y; ++y) {
      const float* v = volume.row(z, y);
      const BitRow inside = mask.row(z, y);
      for (std::int64_t x = 0; x < shape.x; ++x)
        if (inside[x]) *next++ = v[x];
    }
  });
  return values;
}

BitVolume brighter_than(BlockView<const float> volume, double threshold,
                                  const ParallelFor& parallel_for) {
  BitVolume mask(volume.shape);
  parallel_for(volume.shape.z, [&](std::int64_t z) {
    std::vector<std::uint8_t> brighter(static_cast<std::size_t>(volume.shape.x));
    for (std::int64_t y = 0; y < volume.shape.y; ++y) {
      std::transform(volume.row(z, y), volume.row(z, y) + volume.shape.x, brighter.begin(),
                     [&](float v) { return static_cast<std::uint8_t>(double{v} > threshold); });
      mask.set_row(z, y, 0, brighter.data(), volume.shape.x);
    }
  });
  return mask;
}

/// The mask where none was given.
BitVolume mask_from_data(const QualityInput& input, const ParallelFor& parallel_for,
                                   QualityNumbers& out) {
  if (input.background_planes.empty()) {
    out.mask_source = MaskSource::kAllVoxels;
    return BitVolume(input.before.shape, true);
  }
  out.mask_source = MaskSource::kBrightVoxels;
  std::vector<float> dark = plane_values(input.before, input.background_planes);
  const double threshold = numerics::percentile(std::span<float>(dark), kBrightPercentile);
  return brighter_than(input.before, threshold, parallel_for);
}

Block<float> smoothed(BlockView<const float> volume, const ParallelFor& parallel_for) {
  Block<float> out(volume.shape);
  copy_block(volume, out.view());
  numerics::gaussian_filter(out.view(), {kAgreementSigma, kAgreementSigma, kAgreementSigma},
                            parallel_for);
  return out;
}

void measure_mask(const QualityInput& input, const ParallelFor& parallel_for, QualityNumbers& out) {
  const BitView mask = *input.mask;
  out.mask_fraction =
      static_cast<double>(mask.count()) / static_cast<double>(mask.size());
  out.mask_auc = mask_brightness_auc(input.before, smoothed(input.before, parallel_for).view(),
                                     mask, parallel_for);
  out.mask_edge_agreement = mask_edge_agreement(
      input.before, smoothed(input.raw, parallel_for).view(), mask, parallel_for);
  out.background_planes_in_mask = share_in_mask(input.background_planes, mask);
}

void measure_background(const Block<float>& background, QualityNumbers& out) {
  std::vector<float> values(background.span().begin(), background.span().end());
  const std::span<float> all(values);
  const double median = numerics::median(all);
  const double span = numerics::percentile(all, 99.0) - numerics::percentile(all, 1.0);
  out.background_span = span / std::max(median, kFewestBackgroundCounts);
}

/// What the coefficient of joint variation is made of.
struct JointMoments {
  std::optional<numerics::Moments> foreground;
  std::optional<numerics::Moments> background;

  [[nodiscard]] std::optional<double> cjv() const {
    if (!foreground || !background || foreground->mean == background->mean) return std::nullopt;
    return (foreground->deviation + background->deviation) /
           std::abs(foreground->mean - background->mean);
  }
};

/// What the voxels inside the mask, and only they, were multiplied with besides the curves.
float mask_factor(const Correction& correction) {
  return correction.curves ? correction.curves->ratio : 1.0F;
}

void measure_dark_planes(const QualityInput& input, BitView mask,
                         JointMoments& before, JointMoments& after, QualityNumbers& out) {
  if (input.background_planes.empty()) return;
  std::vector<float> values = plane_values(input.before, input.background_planes);
  const auto zeroed = std::count(values.begin(), values.end(), 0.0F);
  out.background_zeroed_fraction = static_cast<double>(zeroed) / static_cast<double>(values.size());
  before.background = numerics::moments(values);
  out.background_median.before = numerics::median(values);

  values = plane_values(input.after, input.background_planes);
  out.background_median.after = numerics::median(values);
  const float ratio = mask_factor(input.correction);
  if (!(ratio > 0.0F)) return;
  values = plane_values(input.after, input.background_planes);  // the median has reordered them
  auto value = values.begin();
  for (const std::int64_t z : input.background_planes)
    for (std::int64_t y = 0; y < mask.shape.y; ++y)
      for (std::int64_t x = 0; x < mask.shape.x; ++x, ++value)
        if (mask.at(z, y, x)) *value /= ratio;
  after.background = numerics::moments(values);
}

/// Density over equal bins of [lo, hi]; no value where nothing lies in it.
std::optional<double> differential_entropy(std::span<const float> values, double lo, double hi) {
  std::array<std::int64_t, kEntropyBins> counts{};
  const double width = (hi - lo) / static_cast<double>(kEntropyBins);
  if (!(width > 0.0)) return std::nullopt;
  std::int64_t total = 0;
  for (const float value : values) {
    const auto v = static_cast<double>(value);
    if (v < lo || v > hi) continue;
    ++counts[std::min(static_cast<std::size_t>((v - lo) / width), kEntropyBins - 1)];
    ++total;
  }
  if (total == 0) return std::nullopt;
  double entropy = std::log(width);
  for (const std::int64_t count : counts) {
    if (count == 0) continue;
    const double share = static_cast<double>(count) / static_cast<double>(total);
    entropy -= share * std::log(share);
  }
  return entropy;
}

void measure_foreground(const QualityInput& input, BitView mask,
                        const ParallelFor& parallel_for, JointMoments& before, JointMoments& after,
                        QualityNumbers& out) {
  std::vector<float> values = masked_values(input.before, mask, parallel_for);
  if (values.empty()) return;
  before.foreground = numerics::moments(values);
  out.foreground_median.before = numerics::median(values);
  const double lo = numerics::percentile(std::span<float>(values), 1.0);
  const double hi = numerics::percentile(std::span<float>(values), 99.0);
  out.entropy.before = differential_entropy(values, lo, hi);

  values = masked_values(input.after, mask, parallel_for);
  if (const double ratio = mask_factor(input.correction); ratio > 0.0) {
    after.foreground = numerics::moments(values);
    after.foreground->mean /= ratio;
    after.foreground->deviation /= ratio;
  }
  out.foreground_median.after = numerics::median(values);
  const double scale = *out.foreground_median.after / *out.foreground_median.before;
  if (!std::isfinite(scale) || scale <= 0.0) return;
  out.entropy.after = differential_entropy(values, lo * scale, hi * scale);
  if (out.entropy.after) *out.entropy.after -= std::log(scale);
}

double saturated_fraction(BlockView<const float> after, const ParallelFor& parallel_for) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(after.shape.z));
  parallel_for(after.shape.z, [&](std::int64_t z) {
    for (std::int64_t y = 0; y < after.shape.y; ++y)
      counts[static_cast<std::size_t>(z)] +=
          std::count_if(after.row(z, y), after.row(z, y) + after.shape.x,
                        [](float v) { return v >= kSaturated; });
  });
  std::int64_t total = 0;
  for (const std::int64_t count : counts) total += count;
  return static_cast<double>(total) / static_cast<double>(after.size());
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

AxisNumbers profile_cv(BlockView<const float> volume, BitView mask,
                       const ParallelFor& parallel_for) {
  constexpr float kNoSample = std::numeric_limits<float>::quiet_NaN();
  AxisNumbers cv;
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<float> medians(static_cast<std::size_t>(volume.shape[axis]), kNoSample);
    for_each_plane_sample(volume, mask, axis, parallel_for,
                          [&](std::int64_t plane, std::span<float> values) {
                            if (!values.empty())
                              medians[static_cast<std::size_t>(plane)] = numerics::median(values);
                          });
    std::erase_if(medians, [](float m) { return std::isnan(m); });
    if (medians.empty()) continue;
    const numerics::Moments moments = numerics::moments(medians);
    if (moments.mean != 0.0)
      cv[static_cast<std::size_t>(axis)] = 100.0 * moments.deviation / moments.mean;
  }
  return cv;
}

std::optional<double> share_in_mask(const std::vector<std::int64_t>& planes,
                                    BitView mask) {
  const Extent3 plane{1, mask.shape.y, mask.shape.x};
  if (planes.empty() || plane.empty()) return std::nullopt;
  std::int64_t inside = 0;
  for (const std::int64_t z : planes) inside += mask.sub({{z, 0, 0}, plane}).count();
  return static_cast<double>(inside) /
         static_cast<double>(static_cast<std::int64_t>(planes.size()) * plane.volume());
}

QualityNumbers measure_quality(const QualityInput& input, const ParallelFor& parallel_for) {
  const Extent3& shape = input.before.shape;
  if (input.raw.shape != shape || input.after.shape != shape ||
      (input.mask && input.mask->shape != shape))
    throw Error(ErrorCode::kInternal, "measure_quality: volumes or mask of different shapes");
  QualityNumbers out;
  if (shape.empty()) return out;

  BitVolume made;
  if (input.mask) {
    out.mask_source = MaskSource::kGiven;
    measure_mask(input, parallel_for, out);
  } else {
    made = mask_from_data(input, parallel_for, out);
  }
  const BitView mask = input.mask ? *input.mask : made.view();

  out.profile_cv_raw = profile_cv(input.raw, mask, parallel_for);
  out.profile_cv_before = profile_cv(input.before, mask, parallel_for);
  out.profile_cv_after = profile_cv(input.after, mask, parallel_for);
  JointMoments before;
  JointMoments after;
  measure_dark_planes(input, mask, before, after, out);
  measure_foreground(input, mask, parallel_for, before, after, out);
  out.cjv = {before.cjv(), after.cjv()};
  out.saturated_fraction = saturated_fraction(input.after, parallel_for);

  const Correction& correction = input.correction;
  if (correction.background) measure_background(*correction.background, out);
  if (correction.curves) measure_curves(*correction.curves, input.fit, out);
  if (correction.image) measure_flatfield(correction.image->flatfield, out);
  return out;
}

}  // namespace flatfield::methods
