#include "flatfield/methods/foreground_weight.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "flatfield/core/error.h"
#include "flatfield/methods/mixture_weight.h"
#include "flatfield/methods/stream_percentiles.h"
#include "flatfield/numerics/exponential.h"
#include "flatfield/numerics/gaussian_block.h"

namespace flatfield::methods {
namespace {

/// log(exp(x) - 1) for x > 0, also where exp(x) overflows.
double log_expm1(double x) {
  return x > 1 ? x + std::log1p(-std::exp(-x)) : std::log(std::expm1(x));
}

}  // namespace

void StoredWeights::weigh(const LevelBlock& block, BlockView<float> out) const {
  copy_block<float>(weights_.sub(block.box), out.sub(block.inner()));
}

RampWeights::RampWeights(double low, double high, const ForegroundWeightOptions& options)
    : sigma_(options.probability_smooth_sigma),
      low_(static_cast<float>(low)),
      span_(static_cast<float>(high - low)),
      step_(high == low) {
  const double eps = std::clamp(options.probability_ramp_eps, 1e-6, 0.49);
  const double start = std::clamp(options.probability_ramp_start_frac, 0.0, 0.999);
  nu_ = std::max(options.probability_ramp_nu, 1.0);
  const double a_start = std::pow(eps, -nu_) - 1;
  const double a_high = std::pow(1 - eps, -nu_) - 1;
  const double b = std::log(a_start / a_high) / (1 - start);
  const double q = a_high * std::exp(b);
  in_float_ = q <= static_cast<double>(std::numeric_limits<float>::max());
  if (in_float_) {
    b_float_ = static_cast<float>(b);
    q_float_ = static_cast<float>(q);
    exponent_ = static_cast<double>(static_cast<float>(1 / nu_));
    return;
  }
  const double log_a_high = log_expm1(-nu_ * std::log1p(-eps));
  b_ = (log_expm1(-nu_ * std::log(eps)) - log_a_high) / (1 - start);
  log_q_ = log_a_high + b_;
}

/// w(v) of docs/methods.md 4.3, before it is smoothed.
float RampWeights::ramp(float v) const {
  if (step_) return v > low_ ? 1.0F : 0.0F;
  const float t = std::clamp((v - low_) / span_, 0.0F, 1.0F);
  if (!in_float_) return steep(t);
  const float w = 1.0F / (1.0F + q_float_ * numerics::exp_as_numpy(-b_float_ * t));
  return nu_ == 1 ? w : static_cast<float>(std::pow(static_cast<double>(w), exponent_));
}

/// (1 + Q exp(-b t))^(-1/nu) from the logarithm of Q.
float RampWeights::steep(float t) const {
  const double exponent = log_q_ - b_ * static_cast<double>(t);
  const double log_sum =
      exponent > 0 ? exponent + std::log1p(std::exp(-exponent)) : std::log1p(std::exp(exponent));
  return static_cast<float>(std::exp(-log_sum / nu_));
}

Extent3 RampWeights::reach() const { return numerics::gaussian_reach({sigma_, sigma_, sigma_}); }

void RampWeights::weigh(const LevelBlock& block, BlockView<float> out) const {
  const Extent3& shape = block.seen.shape;
  for (std::int64_t z = 0; z < shape.z; ++z)
    for (std::int64_t y = 0; y < shape.y; ++y) {
      const float* values = block.values.row(z, y);
      std::transform(values, values + shape.x, out.row(z, y), [this](float v) { return ramp(v); });
    }
  const Box3 inner = block.inner();
  numerics::gaussian_filter_block(out, inner, {sigma_, sigma_, sigma_});
  const BlockView<float> wanted = out.sub(inner);
  for (std::int64_t z = 0; z < inner.shape.z; ++z)
    for (std::int64_t y = 0; y < inner.shape.y; ++y) {
      float* row = wanted.row(z, y);
      for (std::int64_t x = 0; x < inner.shape.x; ++x) row[x] = std::clamp(row[x], 0.0F, 1.0F);
    }
}

RampWeights ramp_weights(LevelStream& v_low, const std::vector<std::int64_t>& background_planes,
                         const ForegroundWeightOptions& options, std::int64_t bytes) {
  if (background_planes.empty() || v_low.shape().empty())
    throw Error(ErrorCode::kBadInput, "there are no background planes to weigh the foreground by");
  const std::vector<RankResult> found = percentiles_of_planes(
      v_low, background_planes, {options.probability_bg_low_percentile, options.probability_bg_high_percentile},
      1024.0F, bytes);
  const double low = found[0].linear();
  const double high = found[1].linear();
  return {std::min(low, high), std::max(low, high), options};
}

Block<float> foreground_weight(BlockView<const float> v_low, BitView mask,
                               const std::vector<std::int64_t>& background_planes,
                               const ForegroundWeightOptions& options,
                               const ParallelFor& parallel_for) {
  if (options.probability_model == ProbabilityModel::kGaussianMixture)
    return mixture_weight(v_low, mask, background_planes, options, parallel_for);
  constexpr std::int64_t kSearchBytes = 1 << 20;
  BlockStream level(v_low);
  const RampWeights field = ramp_weights(level, background_planes, options, kSearchBytes);
  Block<float> weight(v_low.shape);
  level.visit({field.reach(), 1, {}}, [&](const LevelBlock& block) {
    field.weigh(block, block.spare[0]);
    copy_block<float>(block.spare[0].sub(block.inner()), weight.view().sub(block.box));
  });
  return weight;
}

}  // namespace flatfield::methods
