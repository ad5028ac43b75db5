#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/methods/axis_fit.h"
#include "flatfield/methods/axis_percentiles.h"
#include "flatfield/methods/correction.h"
#include "flatfield/methods/level_stream.h"

namespace flatfield::methods {

/// A number of axes z, y, x.
using AxisNumbers = std::array<std::optional<double>, 3>;

/// A number before and after the correction.
struct Change {
  std::optional<double> before;
  std::optional<double> after;
};

/// Which voxels "inside the mask" means.
enum class MaskSource : std::uint8_t {
  kGiven,         ///< the mask that the method worked with
  kBrightVoxels,  ///< none was given: voxels brighter than 99.9 % of those of the background planes
  kAllVoxels,     ///< none was given, and there are no background planes
};

/// Numbers that tell whether a correction made a volume better, measured on the estimation level.
/// `before` is the background-subtracted level v_low, `after` the correction applied to it. No
/// value where a number cannot be measured. docs/quality.md says what each is good for.
struct QualityNumbers {
  MaskSource mask_source = MaskSource::kAllVoxels;

  // Does the mask belong to the tile? Only of a mask that was given.
  std::optional<double> mask_fraction;  ///< share of the level's voxels that it holds
  // On the sample_planes of the level:
  std::optional<double> mask_auc;       ///< BrightnessAuc
  std::optional<double> mask_edge_agreement;  ///< EdgeAgreement

  // Is the background a background?
  std::optional<double>
      background_planes_in_mask;  ///< share of their area; only of a mask that was given
  /// (P99 - P1) / max(median, 10 counts) of the background image: tissue in it varies, background
  /// does not.
  std::optional<double> background_span;
  std::optional<double>
      background_zeroed_fraction;  ///< share of the planes' voxels that are 0 before
  Change background_median;        ///< of the voxels of the background planes
  Change foreground_median;        ///< of the voxels inside the mask

  // Did it get better?
  AxisNumbers profile_cv_raw{};     ///< profile_cv of the raw level
  AxisNumbers profile_cv_before{};  ///< of v_low
  AxisNumbers profile_cv_after{};   ///< of the corrected v_low
  /// Coefficient of joint variation (sigma_fg + sigma_bg) / |mu_fg - mu_bg| of the voxels inside
  /// the mask and those of the background planes. `after` leaves out the global ratio, which is
  /// applied inside the mask only and would move the one against the other.
  Change cjv;
  /// Differential entropy (nats) of the voxels inside the mask: density over 100 bins between the
  /// 1st and the 99th percentile of `before`, values outside dropped. For `after` the range is
  /// scaled by the change of the foreground mean, and its logarithm taken off, so that a mere
  /// factor changes nothing.
  Change entropy;
  std::optional<double> saturated_fraction;  ///< share of the level's voxels that are 65535 after

  // What is the correction like?
  std::optional<double> axis_gain_min;  ///< smallest 1/c over all curves
  std::optional<double> axis_gain_max;  ///< largest 1/c
  AxisNumbers axis_at_limits{};         ///< share of the curve that is at one of its limits
  std::optional<double> global_ratio;
  std::optional<double> flat_std;   ///< standard deviation of F / mean(F)
  std::optional<double> flat_span;  ///< largest less smallest value of F / mean(F)
  std::optional<double> flat_min;   ///< smallest value of F / mean(F)
};

/// What quality is measured on: a level, which is visited box by box, and what becomes of its boxes.
struct QualityInput {
  LevelStream& raw;
  LevelChange to_before;  ///< raw values into v_low, from several threads; empty = they are v_low
  /// v_low into corrected values, clipped to [0, 65535] (LevelCorrection); from several threads
  LevelChange to_after;
  /// The foreground that the method used; none = one is made from the data (MaskSource).
  std::optional<BitView> mask;
  const std::vector<std::int64_t>& background_planes;  ///< of the level; may be empty
  const Correction& correction;
  const std::optional<AxisFit>& fit;  ///< of a correction with curves
  std::int64_t bytes = 0;             ///< that may be held beside the stream, about
  /// The raw values, and those of v_low, are multiples of these powers of 2; 0 = of none. It saves passes.
  float raw_grid = 0.0F;
  float before_grid = 0.0F;
  /// Voxels that the agreement of the mask and the entropies are measured on, about, of a level of more. Such a level is
  /// as large as a tile and is corrected itself: what its medians and sums are of after a fit are whole counts, as they are
  /// written.
  std::int64_t sample_voxels = std::numeric_limits<std::int64_t>::max();
};
/// QualityInput::sample_voxels of a level that is corrected itself, and so may be as large as a tile.
constexpr std::int64_t kFullSizeSampleVoxels = std::int64_t{1} << 28;

/// Measures everything that can be measured. Order statistics are those of all voxels, sums those of
/// ExactMoments: the same numbers for any stream. Some passes over the level: one that counts, one that finds the
/// medians and, where those before the correction are known by then, the entropies, else one or two more; one over the
/// slabs that the agreement of the mask is measured on; and a few over the background planes. Of a level of more than
/// `sample_voxels` there are one pass that counts, mostly, and two over its slabs. Throws Error(kInternal) for a mask of
/// another shape.
[[nodiscard]] QualityNumbers measure_quality(const QualityInput& input);
/// Memory that measure_quality needs at least beside the stream.
[[nodiscard]] std::int64_t least_quality_bytes(const Extent3& shape, int workers);
/// The pass of measure_quality that sees most.
[[nodiscard]] LevelPass quality_pass(bool with_mask);
/// The planes that the agreement of a mask and the entropies are measured on: all of a level of at most `most_voxels`,
/// else slabs of 8, evenly spread, that hold about so many.
[[nodiscard]] std::vector<PlaneRange> sample_planes(const Extent3& shape, std::int64_t most_voxels);

/// Coefficient of variation along each axis: 100 * standard deviation / mean over the planes along
/// it of the median of their masked voxels; planes without any are left out. Of medians that were found.
[[nodiscard]] AxisNumbers profile_cv(const AxisPercentiles<numerics::RankCounts>& medians,
                                     const Extent3& shape);

/// Share of the voxels of some planes that lie in the mask; no value for no planes.
[[nodiscard]] std::optional<double> share_in_mask(const std::vector<std::int64_t>& planes,
                                                  BitView mask);

}  // namespace flatfield::methods
