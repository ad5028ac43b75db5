#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/numerics/feature_samples.h"

namespace flatfield::numerics {

/// One Gaussian of a mixture; the weights of all sum to 1.
struct MixtureComponent {
  double weight = 0;
  FeatureVector mean{};
  FeatureMatrix covariance{};
};

/// The density of a mixture, ready to be evaluated.
class MixtureDensity {
 public:
  /// Samples whose density is computed at once.
  static constexpr std::int64_t kStretch = 256;

  /// Throws Error(kBadInput) where a covariance is not positive definite.
  explicit MixtureDensity(const std::vector<MixtureComponent>& components);

  /// Log of the density at `count` <= kStretch samples.
  void log_density(const FeaturePointers& samples, std::int64_t count, double* out) const;

  /// The share of each component in the density: row k of `rows`, kStretch apart, is that of
  /// component k. Returns the sum of the log densities.
  double responsibilities(const FeaturePointers& samples, std::int64_t count, double* rows) const;

 private:
  /// One component. With L L^T its covariance, `whitening` is the inverse of L, so that the
  /// exponent is -|whitening (x - mean)|^2 / 2.
  struct Gaussian {
    FeatureVector mean;
    FeatureMatrix whitening;
    double log_scale;  ///< log(weight) + log of the density at the mean
  };
  /// Log of the weighted density of one component.
  static void log_component(const Gaussian& gaussian, const FeaturePointers& samples,
                            std::int64_t count, double* out);

  /// Weighted densities of the components, as shares of `largest`, whose logarithm is given; and
  /// their sum.
  void relative_densities(const FeaturePointers& samples, std::int64_t count, double* rows,
                          double* largest, double* sum) const;

  std::vector<Gaussian> gaussians_;
};

}  // namespace flatfield::numerics
