#include "flatfield/methods/axis_fit.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "flatfield/core/error.h"
#include "flatfield/methods/plane_samples.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

/// min(v_low, limit), smoothed: the volume that profiles are taken from.
Block<float> profile_volume(BlockView<const float> v_low, double limit, double sigma,
                            const ParallelFor& parallel_for) {
  Block<float> u(v_low.shape);
  const auto cap = static_cast<float>(limit);
  parallel_for(v_low.shape.z, [&](std::int64_t z) {
    for (std::int64_t y = 0; y < v_low.shape.y; ++y) {
      const float* from = v_low.row(z, y);
      float* to = u.view().row(z, y);
      for (std::int64_t x = 0; x < v_low.shape.x; ++x) to[x] = from[x] < cap ? from[x] : cap;
    }
  });
  numerics::gaussian_filter(u.view(), {sigma, sigma, sigma}, parallel_for);
  return u;
}

/// Percentile of the masked voxels of each plane along `axis`, relative to g; g where there are too few.
std::vector<float> plane_percentiles(BlockView<const float> u, BitView mask,
                                     const VoxelWeights& weights, int axis,
                                     const FittingOptions& options, double g,
                                     const ParallelFor& parallel_for) {
  const auto fewest = static_cast<std::size_t>(std::max<std::int64_t>(options.profile_min_voxels, 1));
  const double q = options.profile_percentile;
  std::vector<float> profile(static_cast<std::size_t>(u.shape[axis]));
  const auto set = [&](std::int64_t plane, double value) {
    profile[static_cast<std::size_t>(plane)] = static_cast<float>(value) / static_cast<float>(g);
  };
  if (!weights) {
    for_each_plane_sample(u, mask, axis, parallel_for,
                          [&](std::int64_t plane, std::span<float> values) {
                            set(plane, values.size() < fewest ? g : numerics::percentile(values, q));
                          });
    return profile;
  }
  for_each_weighted_plane_sample(
      u, *weights, mask, axis, parallel_for,
      [&](std::int64_t plane, std::span<numerics::WeightedValue> samples) {
        const bool weightless = std::all_of(
            samples.begin(), samples.end(),
            [](const numerics::WeightedValue& sample) { return sample.weight == 0; });
        const bool too_few = samples.size() < fewest || weightless;
        set(plane, too_few ? g : static_cast<double>(numerics::weighted_percentile(samples, q)));
      });
  return profile;
}


/// The sum of weight(z, y, x) of the masked voxels by their value as uint16.
template <class Sum, class Weight>
std::vector<Sum> uint16_histogram(BlockView<const float> v_low, BitView mask,
                                  Weight weight) {
  std::vector<Sum> bins(65536);
  for (std::int64_t z = 0; z < v_low.shape.z; ++z)
    for (std::int64_t y = 0; y < v_low.shape.y; ++y) {
      const float* values = v_low.row(z, y);
      const BitRow inside = mask.row(z, y);
      for (std::int64_t x = 0; x < v_low.shape.x; ++x)
        if (inside[x])
          bins[static_cast<std::size_t>(std::clamp(std::nearbyint(values[x]), 0.0F, 65535.0F))] +=
              weight(z, y, x);
    }
  return bins;
}

}  // namespace

double global_level(BlockView<const float> v_low, BitView mask,
                    double percentile, const VoxelWeights& weights) {
  if (!weights) {
    const auto counts = uint16_histogram<std::int64_t>(
        v_low, mask, [](std::int64_t, std::int64_t, std::int64_t) { return 1; });
    return numerics::histogram_percentile(counts, percentile);
  }
  const auto sums = uint16_histogram<double>(
      v_low, mask, [&](std::int64_t z, std::int64_t y, std::int64_t x) {
        return static_cast<double>(weights->row(z, y)[x]);
      });
  return numerics::weighted_histogram_percentile(sums, percentile);
}

AxisFit fit_axes(BlockView<const float> v_low, BitView mask, double g,
                 double med_factor, const FittingOptions& options, const ParallelFor& parallel_for,
                 const VoxelWeights& weights) {
  if (v_low.shape != mask.shape || (weights && weights->shape != v_low.shape) || !(g > 0.0))
    throw Error(ErrorCode::kInternal,
                "fit_axes needs a mask and weights of the volume's shape and g > 0");
  AxisFit fit;
  fit.g = g;
  const Block<float> u =
      profile_volume(v_low, g * med_factor, options.gaussian_sigma, parallel_for);
  const std::array<std::optional<Limits>, 3> limits{options.limits_z, options.limits_y,
                                                    options.limits_x};
  for (int axis = 0; axis < 3; ++axis) {
    AxisProfile& result = fit.axes[static_cast<std::size_t>(axis)];
    result.profile = plane_percentiles(u.view(), mask, weights, axis, options, g, parallel_for);
    result.limits = limits[static_cast<std::size_t>(axis)];
    if (result.limits == Limits{1.0, 1.0}) continue;
    const std::vector<double> samples(result.profile.begin(), result.profile.end());
    result.spline = numerics::smoothing_spline(samples, options.spline_smoothing);
  }
  return fit;
}

std::vector<float> evaluate_curve(const AxisProfile& axis, std::int64_t length) {
  if (!axis.spline) return {};
  std::vector<float> curve(static_cast<std::size_t>(length));
  const auto last_sample = static_cast<double>(axis.profile.size() - 1);
  for (std::int64_t i = 0; i < length; ++i) {
    const double position =
        length == 1 ? 0.0 : static_cast<double>(i) * last_sample / static_cast<double>(length - 1);
    double value = (*axis.spline)(position);
    if (axis.limits) value = std::clamp(value, axis.limits->lo, axis.limits->hi);
    curve[static_cast<std::size_t>(i)] = static_cast<float>(value);
  }
  return curve;
}

GlobalRatio global_ratio(double global_factor, double g, const std::optional<Limits>& limits) {
  const double ratio = global_factor / g;
  const double limited = limits ? std::clamp(ratio, limits->lo, limits->hi) : ratio;
  return {static_cast<float>(limited), limited != ratio};
}

}  // namespace flatfield::methods
