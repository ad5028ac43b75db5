#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/numerics/feature_samples.h"
#include "flatfield/numerics/mixture_density.h"

namespace flatfield::numerics {

/// Parameters of sklearn.mixture.GaussianMixture(covariance_type="full"), by its names
/// n_components, n_init, tol, max_iter, reg_covar and random_state.
struct MixtureOptions {
  int components = 3;
  int starts = 3;
  double tolerance = 1e-3;
  int most_iterations = 100;
  double regularisation = 1e-6;
  std::uint64_t seed = 0;
};

/// A fitted mixture.
struct GaussianMixture {
  std::vector<MixtureComponent> components;
  double lower_bound = 0;  ///< mean log-likelihood per sample before the last step
  int iterations = 0;      ///< of the start that was taken
  bool converged =
      false;  ///< the last iteration changed the lower bound by less than the tolerance
};

/// Expectation maximisation of scikit-learn's GaussianMixture from given responsibilities: a first
/// maximisation, then iterations until the lower bound changes by less than the tolerance.
/// `responsibilities` holds one row of samples.size() values per component. Throws Error(kBadInput)
/// where there are fewer samples than components, or a covariance is not positive definite (samples
/// that are not finite). Same bits for any number of threads.
[[nodiscard]] GaussianMixture fit_mixture_from(const FeatureSamples& samples,
                                               std::span<const double> responsibilities,
                                               const MixtureOptions& options,
                                               const ParallelFor& parallel_for);

/// The best, by its lower bound, of `options.starts` fits that each begin with the labels of
/// `k_means`; of equal ones the first. Throws as fit_mixture_from does. Beside the samples it needs
/// components + 2 doubles per sample.
[[nodiscard]] GaussianMixture fit_mixture(const FeatureSamples& samples,
                                          const MixtureOptions& options,
                                          const ParallelFor& parallel_for);

}  // namespace flatfield::numerics
