#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/methods/fit_mask.h"
#include "flatfield/methods/foreground_weight.h"
#include "flatfield/methods/level_stream.h"
#include "flatfield/numerics/smoothing_spline.h"

namespace flatfield::methods {

/// Limits of a curve or ratio, 0 < lo <= hi.
struct Limits {
  double lo = 0.25;
  double hi = 1.2;
  friend bool operator==(const Limits&, const Limits&) = default;
};

/// Options of the fitting method; docs/configuration.md has their ranges and units.
struct FittingOptions : ForegroundWeightOptions {
  double med_factor_binned = 2.0;
  double med_factor_unbinned = 2.0;
  double gaussian_sigma = 2.0;
  double profile_percentile = 50.0;
  std::int64_t profile_min_voxels = 0;
  double spline_smoothing = 0.0;
  /// No value = the curve is not clipped; [1, 1] = the axis is not corrected.
  std::optional<Limits> limits_x = Limits{};
  std::optional<Limits> limits_y = Limits{};
  std::optional<Limits> limits_z = Limits{};
  double global_factor_binned = 3200.0;
  double global_factor_unbinned = 100.0;
  std::optional<Limits> global_ratio_limits;
  std::string median_summary_path;  ///< "" = none
  bool exclude_background_planes_from_mask = false;
};

/// One axis of a fit.
struct AxisProfile {
  std::vector<float> profile;       ///< one value per plane of the estimation level, relative to g
  std::optional<numerics::Spline> spline;  ///< over plane indices; none = axis not corrected
  std::optional<Limits> limits;
};

/// What the fitting method finds at the estimation level (docs/methods.md 4.4 to 4.6), axes z, y, x.
struct AxisFit {
  double g = 0.0;  ///< global level
  std::array<AxisProfile, 3> axes;
};

/// The global level of docs/methods.md 4.4: a percentile of round(v_low) over the mask, which must not be empty.
/// Without weights it is interpolated inside its bin of unit width, with weights the bin's lower
/// edge, and 0 where the weights sum to 0. One pass over the level.
[[nodiscard]] double global_level(LevelStream& v_low, const FitMask& mask, double percentile,
                                  const WeightField* weights = nullptr);

/// The same without weights of a level that is visited for something else too: add every box, then ask.
class GlobalLevelCount {
 public:
  explicit GlobalLevelCount(int workers)
      : bins_(static_cast<std::size_t>(workers), std::vector<std::uint64_t>(65536)) {}
  /// Adds the values of v_low in a box where `inside` is not 0. From several threads, each with its own `worker`.
  void add(BlockView<const float> v_low, BlockView<const std::uint8_t> inside, int worker);
  /// As global_level; there must have been voxels. `merge` is that of the level.
  [[nodiscard]] double level(double percentile, const Merge& merge = Merge::alone()) const;

 private:
  std::vector<std::vector<std::uint64_t>> bins_;  ///< of each worker, by value as uint16
};

/// Profiles and splines along the three axes. `v_low` is the background-subtracted estimation level,
/// `mask` (same shape) has at least one foreground voxel, g > 0. A plane with fewer masked voxels
/// than profile_min_voxels, none, or a total weight of 0 takes g. Weights count in units so small that the sum
/// over a plane just fits into 63 bits: smaller ones count as 0.
///
/// Two passes over the level, now and then a third, that hold about `bytes` beside the stream.
[[nodiscard]] AxisFit fit_axes(LevelStream& v_low, const FitMask& mask, double g, double med_factor,
                               const FittingOptions& options, std::int64_t bytes,
                               const WeightField* weights = nullptr);

/// The curve of an axis for a volume of `length` voxels along it: the spline at i * (n-1)/(length-1),
/// clipped, float32. Empty for an axis that is not corrected.
[[nodiscard]] std::vector<float> evaluate_curve(const AxisProfile& axis, std::int64_t length);

/// global_factor / g, clamped to the limits in double and rounded once.
struct GlobalRatio {
  float value = 1.0F;
  bool clamped = false;
};
[[nodiscard]] GlobalRatio global_ratio(double global_factor, double g,
                                       const std::optional<Limits>& limits);

}  // namespace flatfield::methods
