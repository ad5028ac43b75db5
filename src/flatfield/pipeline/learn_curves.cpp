#include "flatfield/pipeline/learn_curves.h"

#include <fmt/format.h>

#include <algorithm>

#include "flatfield/methods/foreground_weight.h"
#include "flatfield/pipeline/learn_background.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {
namespace {

std::string limits_text(const std::vector<float>& curve) {
  if (curve.empty()) return "not corrected";
  const auto [lo, hi] = std::minmax_element(curve.begin(), curve.end());
  return fmt::format("{:.4f}..{:.4f}", *lo, *hi);
}

/// Clears a mask where v_low is 0, and counts the values that the fit will see.
void complete_mask(methods::LevelStream& v_low, const std::vector<std::int64_t>& left_out, BitVolume& mask,
                   methods::GlobalLevelCount& count) {
  const methods::FitMask fit_mask(std::as_const(mask).view(), left_out);
  std::vector<std::vector<std::uint8_t>> memory(static_cast<std::size_t>(v_low.workers()));
  const auto wants = [&](const Box3& box) { return fit_mask.may_hold(box); };
  v_low.visit({{}, 0, {}, wants}, [&](const methods::LevelBlock& block) {
    // Boxes begin at words of the mask, so no two visits write to the same one.
    mask.clear_where_zero(block.box.origin, block.values);
    std::vector<std::uint8_t>& mine = memory[static_cast<std::size_t>(block.worker)];
    mine.resize(static_cast<std::size_t>(block.box.shape.volume()));
    const BlockView<std::uint8_t> inside(mine.data(), block.box.shape);
    fit_mask.expand(block.box, inside);
    count.add(block.values, inside, block.worker);
  });
  v_low.merge().common(mask.words());
}

/// How much each voxel counts in the fit (docs/methods.md 4.3). Background planes are always chosen, so there is a ramp;
/// a mixture there may not be.
FoundWeights foreground_weights(const VolumeRequest& request, EstimationLevel& level, const BitVolume& mask,
                                RunContext& context, const Learned& learned) {
  const methods::FittingOptions& options = context.config.fitting;
  const std::vector<std::int64_t>& planes = learned.background_planes.planes;
  const bool is_ramp = options.probability_model == methods::ProbabilityModel::kPercentile;
  FoundWeights found;
  if (is_ramp)
    found.weights = ForegroundWeights::ramp(methods::ramp_weights(level.v_low(), planes, options, level.search_bytes()));
  else
    found = ForegroundWeights::mixture(level.v_low(), mask, planes, context);
  if (found.weights)
    context.log.info(fmt::format("foreground weights: {} at level {}", is_ramp ? "percentile ramp" : "mixture model",
                                 request.levels.estimation));
  return found;
}

/// The level that the tile is scaled to: that of the median summary if it has one, else that of the options.
double global_factor(const VolumeRequest& request, RunContext& context, Learned& learned) {
  const methods::FittingOptions& options = context.config.fitting;
  const bool binned = request.levels.binned;
  const double configured = binned ? options.global_factor_binned : options.global_factor_unbinned;
  if (!context.medians) return configured;
  // A name without a channel is that of a binned tile only if it was said to be one.
  const std::string channel = tile_channel(request.name).value_or(binned ? context.config.binned_channel : "");
  const MedianSummary::Entry* entry = context.medians->find(channel);
  if (entry == nullptr) {
    note_warning(learned, fmt::format("the median summary has no usable entry: the global factor is {}", configured),
                 context.log);
    return configured;
  }
  if (entry->channel != channel)
    note_warning(learned,
                 fmt::format("the median summary has no channel \"{}\": that of channel {} is used", channel, entry->channel),
                 context.log);
  context.log.info(fmt::format("global factor: {} (median summary, channel {})", entry->value, entry->channel));
  return entry->value;
}

}  // namespace

void learn_axis_curves(const VolumeRequest& request, EstimationLevel& level, RunContext& context,
                       Learned& learned) {
  const methods::FittingOptions& options = context.config.fitting;
  const TileLevels& levels = request.levels;
  report::Log& log = context.log;
  const auto fall_back = [&](std::string reason) {
    note_warning(learned, reason + ": background subtraction only", log);
    learned.fallback = std::move(reason);
  };
  // A background image from elsewhere was made without choosing planes, which the weights need (docs/methods.md 1).
  if (context.config.use_reference_bkg && options.enable_gmm_refinement)
    learn_background_planes(level, context, learned);
  const std::vector<std::int64_t> left_out =
      options.exclude_background_planes_from_mask ? learned.background_planes.planes : std::vector<std::int64_t>();
  // The pass that completes the mask finds the global level too.
  std::optional<methods::GlobalLevelCount> counted;
  // What passes over the level may hold is free while the mask is made.
  level.lend(context);
  std::optional<BitVolume> found =
      context.masks->foreground(request.name, level.shape(), request.is_shared, [&](BitVolume& mask) {
        level.take_back(context);
        counted.emplace(context.pool.workers());
        complete_mask(level.v_low(), left_out, mask, *counted);
      }, context.processes);
  if (!counted) level.take_back(context);
  if (!found) return fall_back("there is no mask for " + request.name);
  learned.correction.mask = std::move(*found);
  const BitVolume& mask = *learned.correction.mask;

  if (options.enable_gmm_refinement) {
    FoundWeights refinement = foreground_weights(request, level, mask, context, learned);
    if (!refinement.weights) return fall_back("foreground weights: " + refinement.reason);
    learned.weights = std::move(refinement.weights);
  }
  const methods::WeightField* weights = learned.weights ? &learned.weights->field() : nullptr;

  const methods::FitMask fit_mask(mask.view(), left_out);
  if (fit_mask.count() == 0) return fall_back("the mask is empty where the tile is not 0");

  const double g = counted && weights == nullptr
                       ? counted->level(options.profile_percentile, level.v_low().merge())
                       : methods::global_level(level.v_low(), fit_mask, options.profile_percentile, weights);
  log.info(fmt::format("g: {}", g));
  if (g == 0.0) return fall_back("the global level g is 0");
  learned.fit = methods::fit_axes(level.v_low(), fit_mask, g,
                                  levels.binned ? options.med_factor_binned : options.med_factor_unbinned,
                                  options, level.search_bytes(), weights);
  learned.global_factor = global_factor(request, context, learned);
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
