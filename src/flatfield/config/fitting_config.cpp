#include "flatfield/config/fitting_config.h"

#include "flatfield/config/option_rows.h"

namespace flatfield::config {
namespace {

using methods::FittingOptions;
using methods::Limits;
using FittingRows = Rows<FittingOptions>;

std::optional<Limits> parse_limits(const Json& value, bool positive) {
  const char* expected =
      positive ? "expected null or [lo, hi] with 0 < lo <= hi" : "expected null or [min, max] with min < max";
  if (value.is_null()) return std::nullopt;
  if (!value.is_array() || value.as_array().size() != 2) throw std::invalid_argument(expected);
  const Json& lo = value.as_array()[0];
  const Json& hi = value.as_array()[1];
  if (!lo.is_number() || !hi.is_number()) throw std::invalid_argument(expected);
  const Limits limits{lo.as_double(), hi.as_double()};
  const bool valid = positive ? 0.0 < limits.lo && limits.lo <= limits.hi : limits.lo < limits.hi;
  if (!valid) throw std::invalid_argument(expected);
  return limits;
}

OptionRow<FittingOptions> limits_row(std::string key, std::optional<Limits> FittingOptions::*member,
                                     bool positive, std::string help) {
  return {std::move(key), OptionKind::kLimits,
          positive ? "[lo, hi] with 0 < lo <= hi, or null" : "[min, max] with min < max, or null",
          std::move(help),
          [member, positive](FittingOptions& options, const Json& value) {
            options.*member = parse_limits(value, positive);
          },
          [member](const FittingOptions& options) {
            const std::optional<Limits>& limits = options.*member;
            return limits ? Json(Json::Array{limits->lo, limits->hi}) : Json();
          }};
}

OptionRow<FittingOptions> probability_model_row() {
  using methods::ProbabilityModel;
  return {"probability_model", OptionKind::kText, "percentile, gmm",
          "How foreground weights are found: a ramp between two percentiles of the background "
          "planes, or the posterior of two Gaussian mixtures.",
          [](FittingOptions& options, const Json& value) {
            if (value == Json("percentile"))
              options.probability_model = ProbabilityModel::kPercentile;
            else if (value == Json("gmm"))
              options.probability_model = ProbabilityModel::kGaussianMixture;
            else
              throw std::invalid_argument("expected one of percentile, gmm");
          },
          [](const FittingOptions& options) {
            const bool mixture = options.probability_model == ProbabilityModel::kGaussianMixture;
            return Json(mixture ? "gmm" : "percentile");
          }};
}

/// Rows of an integer of the weights' options, a base of FittingOptions.
OptionRow<FittingOptions> weight_integer(std::string key,
                                         std::int64_t methods::ForegroundWeightOptions::*member,
                                         Range range, std::string help) {
  return FittingRows::integer<std::int64_t>(std::move(key), member, range, std::move(help));
}

}  // namespace

const OptionTable<FittingOptions>& fitting_table() {
  static const OptionTable<FittingOptions> table{
      FittingRows::number("med_factor_binned", &FittingOptions::med_factor_binned, {0},
                          "Voxels of a binned tile are capped at this many times the global level before "
                          "profiles are taken."),
      FittingRows::number("med_factor_unbinned", &FittingOptions::med_factor_unbinned, {0},
                          "The same for an unbinned tile."),
      FittingRows::number("gaussian_sigma", &FittingOptions::gaussian_sigma, {0, 1000},
                          "Sigma in voxels of the smoothing before profiles are taken; 0 = none."),
      FittingRows::number("profile_percentile", &FittingOptions::profile_percentile, {0, 100},
                          "Percentile of the masked voxels of a plane, and of the global level."),
      FittingRows::integer("profile_min_voxels", &FittingOptions::profile_min_voxels, {0},
                           "Planes with fewer masked voxels take the global level."),
      FittingRows::number("spline_smoothing", &FittingOptions::spline_smoothing, {0},
                          "Smoothing condition s of the spline; 0 interpolates the profile."),
      limits_row("limits_x", &FittingOptions::limits_x, true,
                 "Limits of the curve along x; null = not clipped, [1, 1] = axis not corrected."),
      limits_row("limits_y", &FittingOptions::limits_y, true, "The same along y."),
      limits_row("limits_z", &FittingOptions::limits_z, true, "The same along z."),
      FittingRows::number("global_factor_binned", &FittingOptions::global_factor_binned, {0},
                          "Level that a binned tile is scaled to."),
      FittingRows::number("global_factor_unbinned", &FittingOptions::global_factor_unbinned, {0},
                          "Level that an unbinned tile is scaled to."),
      limits_row("global_ratio_limits", &FittingOptions::global_ratio_limits, false,
                 "Limits of the ratio global factor / global level."),
      FittingRows::text("median_summary_path", &FittingOptions::median_summary_path, "file",
                        "JSON file with the global factor per channel; the command line wins."),
      FittingRows::flag("exclude_background_planes_from_mask",
                        &FittingOptions::exclude_background_planes_from_mask,
                        "Leave the background planes out of the mask that the fit sees."),
      FittingRows::flag("enable_gmm_refinement", &FittingOptions::enable_gmm_refinement,
                        "Weigh the voxels of the fit by how likely they are foreground, and write "
                        "the weights."),
      probability_model_row(),
      FittingRows::number("probability_bg_low_percentile",
                          &FittingOptions::probability_bg_low_percentile, {0, 100},
                          "Percentile of the background planes that weights are near 0 below."),
      FittingRows::number("probability_bg_high_percentile",
                          &FittingOptions::probability_bg_high_percentile, {0, 100},
                          "Percentile of the background planes where the ramp ends."),
      FittingRows::number("probability_ramp_eps", &FittingOptions::probability_ramp_eps,
                          {0, 0.5, true},
                          "Weight where the ramp starts, and what is missing from 1 at its end; "
                          "clamped to 1e-6..0.49."),
      FittingRows::number("probability_ramp_start_frac",
                          &FittingOptions::probability_ramp_start_frac, {0, 1},
                          "Where between the two percentiles the ramp starts; clamped to 0.999."),
      FittingRows::number("probability_ramp_nu", &FittingOptions::probability_ramp_nu, {1},
                          "Asymmetry of the ramp; 1 = a logistic curve."),
      FittingRows::number("probability_smooth_sigma", &FittingOptions::probability_smooth_sigma, {0, 1000},
                          "Sigma in voxels of the smoothing of the ramp's weights; 0 = none."),
      weight_integer("gmm_n_components", &FittingOptions::gmm_n_components, {1, 1000},
                     "Components of each Gaussian mixture."),
      weight_integer("gmm_max_samples", &FittingOptions::gmm_max_samples, {1},
                     "Voxels that each mixture is fitted to at most."),
      weight_integer("gmm_batch_size", &FittingOptions::gmm_batch_size, {1},
                     "Without effect; accepted because older configurations have it."),
      weight_integer("erosion_radius", &FittingOptions::erosion_radius, {0},
                     "Radius in voxels of the ball that erodes the mask before foreground samples "
                     "are drawn."),
      weight_integer("gmm_random_state", &FittingOptions::gmm_random_state, {0},
                     "Seed of the samples and of the mixtures."),
  };
  return table;
}

methods::FittingOptions read_fitting_config(const Json& object, const std::string& where) {
  FittingOptions options;
  read_object(fitting_table(), object, where, options);
  return options;
}

}  // namespace flatfield::config
