#include "flatfield/pipeline/learn_curves.h"

#include <fmt/format.h>

#include <algorithm>

#include "flatfield/core/error.h"
#include "flatfield/methods/foreground_weight.h"
#include "flatfield/methods/tissue_mask.h"
#include "flatfield/pipeline/learn_background.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {
namespace {

/// Removes the background planes from a mask (exclude_background_planes_from_mask).
BitVolume without_planes(const BitVolume& mask, const std::vector<std::int64_t>& planes) {
  BitVolume out = mask.clone();
  for (const std::int64_t z : planes)
    for (std::int64_t y = 0; y < mask.shape().y; ++y) out.fill(z, y, 0, mask.shape().x, false);
  return out;
}

std::string limits_text(const std::vector<float>& curve) {
  if (curve.empty()) return "not corrected";
  const auto [lo, hi] = std::minmax_element(curve.begin(), curve.end());
  return fmt::format("{:.4f}..{:.4f}", *lo, *hi);
}

/// How much each voxel counts in the fit (algorithms.md 4.3).
Block<float> foreground_weights(const VolumeRequest& request, const Block<float>& low,
                                const Block<float>& v_low, const BitVolume& mask,
                                RunContext& context, Learned& learned) {
  const methods::FittingOptions& options = context.config.fitting;
  // A background image from elsewhere was made without them.
  if (context.config.use_reference_bkg) learn_background_planes(low, context, learned);
  // In an empty mask nothing is foreground, and there is nothing to fit a mixture to.
  if (options.probability_model == methods::ProbabilityModel::kGaussianMixture &&
      mask.count() == 0)
    return Block<float>(v_low.shape(), 0.0F);
  Block<float> weights =
      methods::foreground_weight(v_low.view(), mask.view(), learned.background_planes.planes, options,
                                 context.pool.as_parallel_for());
  context.log.info(fmt::format("foreground weights: {} at level {}",
                               options.probability_model == methods::ProbabilityModel::kPercentile
                                   ? "percentile ramp"
                                   : "mixture model",
                               request.levels.estimation));
  return weights;
}

/// The level that the tile is scaled to: that of the median summary if it has one, else that of the options.
double global_factor(const VolumeRequest& request, RunContext& context) {
  const methods::FittingOptions& options = context.config.fitting;
  const bool binned = request.levels.binned;
  const double configured = binned ? options.global_factor_binned : options.global_factor_unbinned;
  if (!context.medians) return configured;
  const std::string& binned_channel = context.config.binned_channel;
  const std::string channel = binned && !binned_channel.empty()
                                  ? binned_channel
                                  : tile_channel(request.name).value_or("");
  const MedianSummary::Entry* entry = context.medians->find(channel);
  if (entry == nullptr) {
    context.log.warning(fmt::format("the median summary has no usable entry: the global factor is {}", configured));
    return configured;
  }
  if (entry->channel != channel)
    context.log.warning(fmt::format("the median summary has no channel \"{}\": that of channel {} is used",
                                    channel, entry->channel));
  context.log.info(fmt::format("global factor: {} (median summary, channel {})", entry->value, entry->channel));
  return entry->value;
}

}  // namespace

void learn_axis_curves(const VolumeRequest& request, const Block<float>& low, const Block<float>& v_low,
                       RunContext& context, Learned& learned) {
  const ParallelFor parallel_for = context.pool.as_parallel_for();
  const methods::FittingOptions& options = context.config.fitting;
  const TileLevels& levels = request.levels;
  report::Log& log = context.log;
  const auto fall_back = [&](std::string reason) {
    log.warning(reason + ": background subtraction only");
    learned.fallback = std::move(reason);
  };
  std::optional<BitVolume> found =
      context.masks->foreground(request.name, v_low.shape(), [&](BitVolume& mask) {
        methods::clear_where_zero(mask, v_low.view(), parallel_for);
      });
  if (!found) return fall_back("there is no mask for " + request.name);
  learned.correction.mask = std::move(*found);
  const BitVolume& mask = *learned.correction.mask;

  if (options.enable_gmm_refinement) {
    try {
      learned.weights = foreground_weights(request, low, v_low, mask, context, learned);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBadInput) throw;
      return fall_back("foreground weights: " + error.message());
    }
  }
  const methods::VoxelWeights weights =
      learned.weights ? methods::VoxelWeights(std::as_const(*learned.weights).view()) : std::nullopt;

  std::optional<BitVolume> reduced;
  if (options.exclude_background_planes_from_mask)
    reduced = without_planes(mask, learned.background_planes.planes);
  const BitView fit_mask = reduced ? reduced->view() : mask.view();
  if (fit_mask.count() == 0) return fall_back("the mask is empty where the tile is not 0");

  const double g = methods::global_level(v_low.view(), fit_mask, options.profile_percentile, weights);
  log.info(fmt::format("g: {}", g));
  if (g == 0.0) return fall_back("the global level g is 0");
  learned.fit = methods::fit_axes(v_low.view(), fit_mask, g,
                                  levels.binned ? options.med_factor_binned : options.med_factor_unbinned,
                                  options, parallel_for, weights);
  learned.global_factor = global_factor(request, context);
  const methods::GlobalRatio ratio =
      methods::global_ratio(learned.global_factor, g, options.global_ratio_limits);
  learned.ratio_clamped = ratio.clamped;
  log.info(fmt::format("ratio: {} ({} / g, {})", ratio.value, learned.global_factor,
                       ratio.clamped ? "clamped" : "not clamped"));

  methods::AxisCurves curves;
  const Extent3& shape = learned.correction.shape;
  curves.z = methods::evaluate_curve(learned.fit->axes[0], shape.z);
  curves.y = methods::evaluate_curve(learned.fit->axes[1], shape.y);
  curves.x = methods::evaluate_curve(learned.fit->axes[2], shape.x);
  curves.ratio = ratio.value;
  log.info(fmt::format("curves: z {}, y {}, x {}", limits_text(curves.z), limits_text(curves.y),
                       limits_text(curves.x)));
  learned.correction.curves = std::move(curves);
}

}  // namespace flatfield::pipeline
