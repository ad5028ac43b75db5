#include "flatfield/methods/foreground_weight.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/methods/mixture_weight.h"
#include "flatfield/methods/plane_samples.h"
#include "flatfield/numerics/exponential.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

/// log(exp(x) - 1) for x > 0, also where exp(x) overflows.
double log_expm1(double x) {
  return x > 1 ? x + std::log1p(-std::exp(-x)) : std::log(std::expm1(x));
}

/// w(v) of algorithms.md 4.3, before it is smoothed.
class Ramp {
 public:
  Ramp(double low, double high, const ForegroundWeightOptions& options)
      : low_(static_cast<float>(low)), span_(static_cast<float>(high - low)), step_(high == low) {
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

  [[nodiscard]] float operator()(float v) const {
    if (step_) return v > low_ ? 1.0F : 0.0F;
    const float t = std::clamp((v - low_) / span_, 0.0F, 1.0F);
    if (!in_float_) return steep(t);
    const float w = 1.0F / (1.0F + q_float_ * numerics::exp_as_numpy(-b_float_ * t));
    return nu_ == 1 ? w : static_cast<float>(std::pow(static_cast<double>(w), exponent_));
  }

 private:
  /// (1 + Q exp(-b t))^(-1/nu) from the logarithm of Q.
  [[nodiscard]] float steep(float t) const {
    const double exponent = log_q_ - b_ * static_cast<double>(t);
    const double log_sum =
        exponent > 0 ? exponent + std::log1p(std::exp(-exponent)) : std::log1p(std::exp(exponent));
    return static_cast<float>(std::exp(-log_sum / nu_));
  }

  float low_;
  float span_;
  bool step_;
  bool in_float_ = true;
  double nu_ = 1;
  float b_float_ = 0;
  float q_float_ = 0;
  double exponent_ = 1;  // a float32, as all constants of the ramp
  double b_ = 0;
  double log_q_ = 0;
};

}  // namespace

Block<float> percentile_weight(BlockView<const float> v_low,
                               const std::vector<std::int64_t>& background_planes,
                               const ForegroundWeightOptions& options,
                               const ParallelFor& parallel_for) {
  std::vector<float> reference = plane_values(v_low, background_planes);
  if (reference.empty())
    throw Error(ErrorCode::kBadInput, "there are no background planes to weigh the foreground by");
  double low = numerics::percentile(std::span(reference), options.probability_bg_low_percentile);
  double high = numerics::percentile(std::span(reference), options.probability_bg_high_percentile);
  if (high < low) std::swap(low, high);
  reference = {};

  const Ramp ramp(low, high, options);
  Block<float> weight(v_low.shape);
  parallel_for(v_low.shape.z, [&](std::int64_t z) {
    for (std::int64_t y = 0; y < v_low.shape.y; ++y)
      std::transform(v_low.row(z, y), v_low.row(z, y) + v_low.shape.x, weight.view().row(z, y),
                     ramp);
  });
  const double sigma = options.probability_smooth_sigma;
  numerics::gaussian_filter(weight.view(), {sigma, sigma, sigma}, parallel_for);
  for (float& w : weight.span()) w = std::clamp(w, 0.0F, 1.0F);
  return weight;
}

Block<float> foreground_weight(BlockView<const float> v_low, BitView mask,
                               const std::vector<std::int64_t>& background_planes,
                               const ForegroundWeightOptions& options,
                               const ParallelFor& parallel_for) {
  return options.probability_model == ProbabilityModel::kGaussianMixture
             ? mixture_weight(v_low, mask, background_planes, options, parallel_for)
             : percentile_weight(v_low, background_planes, options, parallel_for);
}

}  // namespace flatfield::methods
