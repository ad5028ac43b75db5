#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/methods/level_stream.h"

namespace flatfield::methods {

/// How the weight of a voxel is found (docs/methods.md 4.3).
enum class ProbabilityModel {
  kPercentile,       ///< a ramp between two percentiles of the background
  kGaussianMixture,  ///< the posterior of two Gaussian mixtures
};

/// Options of the foreground weights; docs/configuration.md has their ranges.
struct ForegroundWeightOptions {
  bool enable_gmm_refinement = false;  ///< weights are used, whichever the model
  ProbabilityModel probability_model = ProbabilityModel::kPercentile;
  double probability_bg_low_percentile = 50.0;
  double probability_bg_high_percentile = 99.9;
  double probability_ramp_eps = 1e-4;        ///< clamped to [1e-6, 0.49]
  double probability_ramp_start_frac = 0.2;  ///< clamped to [0, 0.999]
  double probability_ramp_nu = 1.0;          ///< at least 1
  double probability_smooth_sigma = 1.0;     ///< voxels
  std::int64_t gmm_n_components = 3;
  std::int64_t gmm_max_samples = 2000000;
  std::int64_t gmm_batch_size = 200000;  ///< accepted for old configurations, without effect
  std::int64_t erosion_radius = 2;       ///< voxels
  std::int64_t gmm_random_state = 0;
};

/// How much each voxel of the estimation level counts as foreground, 0..1, by the model of the
/// options. `v_low` is the background-subtracted estimation level, `mask` has its shape,
/// `background_planes` are z indices of it. Throws Error(kBadInput) where the weights cannot be
/// found; see the two functions below.
[[nodiscard]] Block<float> foreground_weight(BlockView<const float> v_low,
                                             BitView mask,
                                             const std::vector<std::int64_t>& background_planes,
                                             const ForegroundWeightOptions& options,
                                             const ParallelFor& parallel_for);

/// How much voxels count, computed box by box.
class WeightField {
 public:
  virtual ~WeightField() = default;
  /// Voxels around a box that its weights depend on.
  [[nodiscard]] virtual Extent3 reach() const = 0;
  /// Writes the weights of the block's box, 0..1, to these voxels of `out`; the others of it get any value. `out`
  /// has the shape of `seen`, and may not be `block.values`, which hold v_low. From several threads.
  virtual void weigh(const LevelBlock& block, BlockView<float> out) const = 0;
};

/// Weights that are in memory; they must outlive it.
class StoredWeights : public WeightField {
 public:
  explicit StoredWeights(BlockView<const float> weights) : weights_(weights) {}
  [[nodiscard]] Extent3 reach() const override { return {}; }
  void weigh(const LevelBlock& block, BlockView<float> out) const override;

 private:
  BlockView<const float> weights_;
};

/// The "percentile" model: a generalised logistic ramp over v_low between two values, smoothed and clipped;
/// equal values give a step. In float32 with the exponential of numpy, so that the weights are those of
/// a numpy implementation to 1 ulp; where the ramp is so steep that its factor Q exceeds float32 (about
/// start_frac > 0.8 or nu > 8), in double from logarithms.
class RampWeights : public WeightField {
 public:
  /// `low` <= `high`: percentiles of the background.
  RampWeights(double low, double high, const ForegroundWeightOptions& options);
  [[nodiscard]] Extent3 reach() const override;
  void weigh(const LevelBlock& block, BlockView<float> out) const override;

 private:
  [[nodiscard]] float ramp(float v) const;
  [[nodiscard]] float steep(float t) const;

  double sigma_;
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

/// The ramp between the percentiles of the options of all voxels of the background planes of `v_low`, which are
/// found by some passes over these planes that hold about `bytes`. Throws Error(kBadInput) where there are no
/// background planes.
[[nodiscard]] RampWeights ramp_weights(LevelStream& v_low, const std::vector<std::int64_t>& background_planes,
                                       const ForegroundWeightOptions& options, std::int64_t bytes);

}  // namespace flatfield::methods
