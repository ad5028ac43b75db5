// Gaussian mixtures, as operations of the probe.
#include <algorithm>
#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/numerics/gaussian_mixture.h"
#include "probe.h"

namespace flatfield::test {
namespace {

using namespace flatfield::numerics;

/// An array of shape (samples, features).
FeatureSamples feature_samples(const ProbeCall& call, const std::string& name) {
  const Npy<double> array = call.array<double>(name);
  FeatureSamples samples;
  for (std::size_t i = 0; i < array.values.size(); i += kFeatureCount) {
    FeatureVector sample;
    std::copy_n(array.values.begin() + static_cast<std::ptrdiff_t>(i), kFeatureCount,
                sample.begin());
    samples.push_back(sample);
  }
  return samples;
}

/// `samples`; `responsibilities`: (components, samples). Gives the parameters of the mixture, and
/// the log density at `points`.
void run_gaussian_mixture(const ProbeCall& call) {
  const FeatureSamples samples = feature_samples(call, "samples");
  const Npy<double> responsibilities = call.array<double>("responsibilities");
  MixtureOptions options;
  options.components = static_cast<int>(responsibilities.shape.at(0));
  const GaussianMixture mixture =
      fit_mixture_from(samples, responsibilities.values, options, serial_for);
  std::vector<double> weights;
  std::vector<double> means;
  std::vector<double> covariances;
  for (const MixtureComponent& component : mixture.components) {
    weights.push_back(component.weight);
    means.insert(means.end(), component.mean.begin(), component.mean.end());
    for (const FeatureVector& row : component.covariance)
      covariances.insert(covariances.end(), row.begin(), row.end());
  }
  call.put("weights", weights);
  call.put("means", means);
  call.put("covariances", covariances);
  call.put("lower_bound", std::vector<double>{mixture.lower_bound});
  call.put("iterations", std::vector<std::int64_t>{mixture.iterations});

  const FeatureSamples points = feature_samples(call, "points");
  std::vector<double> log_density(static_cast<std::size_t>(points.size()));
  const MixtureDensity density(mixture.components);
  for (std::int64_t first = 0; first < points.size(); first += MixtureDensity::kStretch)
    density.log_density(points.from(first),
                        std::min(MixtureDensity::kStretch, points.size() - first),
                        log_density.data() + first);
  call.put("log_density", log_density);
}

}  // namespace

void add_mixture_operations(ProbeOperations& operations) {
  operations["gaussian_mixture"] = run_gaussian_mixture;
}

}  // namespace flatfield::test
