#include "flatfield/numerics/gaussian_mixture.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/core/extent.h"
#include "flatfield/numerics/k_means.h"

namespace flatfield::numerics {
namespace {

constexpr std::int64_t kStretch = MixtureDensity::kStretch;
/// Samples per task; sums are taken per task and added up in order.
constexpr std::int64_t kSamplesPerTask = 64 * kStretch;

/// Sums over samples x with responsibilities r of one component, about a reference point.
struct ComponentSums {
  double weight = 0;       ///< of r
  FeatureVector first{};   ///< of r (x - reference)
  FeatureMatrix second{};  ///< of r (x - reference) (x - reference)^T, lower triangle

  void add(const ComponentSums& other) {
    weight += other.weight;
    for (std::size_t f = 0; f < kFeatureCount; ++f) {
      first[f] += other.first[f];
      for (std::size_t g = 0; g <= f; ++g) second[f][g] += other.second[f][g];
    }
  }
};

struct Sums {
  std::vector<ComponentSums> components;
  double log_likelihood = 0;
};

/// Eight partial sums in a fixed order, so that the loop vectorises and the result never varies.
template <class Term>
double sum_of(std::int64_t count, Term term) {
  constexpr std::int64_t kLanes = 8;
  std::array<double, kLanes> part{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      part[static_cast<std::size_t>(lane)] += term(i + lane);
  for (std::size_t lane = 0; i < count; ++i, ++lane) part[lane] += term(i);
  return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

/// The sums of one stretch of samples.
ComponentSums stretch_sums(const FeaturePointers& samples, std::int64_t count, const double* r,
                           const FeatureVector& reference) {
  std::array<std::array<double, kStretch>, kFeatureCount> difference;
  std::array<double, kStretch> weighted;
  ComponentSums sums;
  sums.weight = sum_of(count, [&](std::int64_t i) { return r[i]; });
  for (std::size_t f = 0; f < kFeatureCount; ++f) {
    double* __restrict d = difference[f].data();
    double* __restrict rd = weighted.data();
    const double* x = samples[f];
    for (std::int64_t i = 0; i < count; ++i) {
      d[i] = x[i] - reference[f];
      rd[i] = r[i] * d[i];
    }
    sums.first[f] = sum_of(count, [&](std::int64_t i) { return rd[i]; });
    for (std::size_t g = 0; g <= f; ++g) {
      const double* other = difference[g].data();
      sums.second[f][g] = sum_of(count, [&](std::int64_t i) { return rd[i] * other[i]; });
    }
  }
  return sums;
}

/// Writes the responsibilities of `count` samples from `first` on, one row per component, kStretch
/// apart; returns the sum of their log-likelihoods.
using FillResponsibilities =
    std::function<double(std::int64_t first, std::int64_t count, double* responsibilities)>;

/// Sums over all samples, each component about its own reference.
Sums accumulate(const FeatureSamples& samples, const std::vector<FeatureVector>& references,
                const FillResponsibilities& fill, const ParallelFor& parallel_for) {
  const std::size_t components = references.size();
  std::vector<Sums> tasks(static_cast<std::size_t>(ceil_div(samples.size(), kSamplesPerTask)));
  parallel_for(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t task) {
    Sums& own = tasks[static_cast<std::size_t>(task)];
    own.components.resize(components);
    std::vector<double> responsibilities(components * static_cast<std::size_t>(kStretch));
    const std::int64_t end = std::min((task + 1) * kSamplesPerTask, samples.size());
    for (std::int64_t first = task * kSamplesPerTask; first < end; first += kStretch) {
      const std::int64_t count = std::min(kStretch, end - first);
      own.log_likelihood += fill(first, count, responsibilities.data());
      for (std::size_t k = 0; k < components; ++k)
        own.components[k].add(
            stretch_sums(samples.from(first), count,
                         &responsibilities[k * static_cast<std::size_t>(kStretch)], references[k]));
    }
  });
  Sums total{std::vector<ComponentSums>(components), 0};
  for (const Sums& task : tasks) {
    total.log_likelihood += task.log_likelihood;
    for (std::size_t k = 0; k < components; ++k) total.components[k].add(task.components[k]);
  }
  return total;
}

/// The maximisation step, as scikit-learn does it: ten machine epsilons join the weight, so that a
/// component without samples stays defined.
MixtureComponent maximise(const ComponentSums& sums, const FeatureVector& reference,
                          double regularisation) {
  const double weight = sums.weight + 10 * std::numeric_limits<double>::epsilon();
  MixtureComponent component;
  component.weight = weight;
  FeatureVector moved;  // from the reference to the mean
  for (std::size_t f = 0; f < kFeatureCount; ++f) {
    component.mean[f] = (sums.first[f] + sums.weight * reference[f]) / weight;
    moved[f] = component.mean[f] - reference[f];
  }
  for (std::size_t f = 0; f < kFeatureCount; ++f)
    for (std::size_t g = 0; g <= f; ++g) {
      const double about_mean = sums.second[f][g] - moved[f] * sums.first[g] -
                                sums.first[f] * moved[g] + sums.weight * (moved[f] * moved[g]);
      component.covariance[f][g] = component.covariance[g][f] = about_mean / weight;
      if (f == g) component.covariance[f][f] += regularisation;
    }
  return component;
}

std::vector<MixtureComponent> maximise(const Sums& sums,
                                       const std::vector<FeatureVector>& references,
                                       double regularisation) {
  std::vector<MixtureComponent> components;
  double total = 0;
  for (std::size_t k = 0; k < references.size(); ++k) {
    components.push_back(maximise(sums.components[k], references[k], regularisation));
    total += components.back().weight;
  }
  for (MixtureComponent& component : components) component.weight /= total;
  return components;
}

std::vector<FeatureVector> means(const std::vector<MixtureComponent>& components) {
  std::vector<FeatureVector> out;
  for (const MixtureComponent& component : components) out.push_back(component.mean);
  return out;
}

void check(const FeatureSamples& samples, const MixtureOptions& options) {
  if (options.components < 1 || options.starts < 1 || options.most_iterations < 1)
    throw Error(ErrorCode::kInternal,
                "a Gaussian mixture needs a component, a start and an iteration at least");
  if (samples.size() < options.components)
    throw Error(ErrorCode::kBadInput, std::to_string(samples.size()) +
                                          " samples are too few for a Gaussian mixture of " +
                                          std::to_string(options.components) + " components");
}

GaussianMixture maximise_expectation(const FeatureSamples& samples,
                                     const FillResponsibilities& fill,
                                     const MixtureOptions& options,
                                     const ParallelFor& parallel_for) {
  // The first maximisation is done twice: about the origin for the means, about these for the
  // covariances. Later ones are about the means before them, from which they differ little.
  std::vector<FeatureVector> references(static_cast<std::size_t>(options.components),
                                        FeatureVector{});
  GaussianMixture mixture;
  for (int round = 0; round < 2; ++round) {
    const Sums sums = accumulate(samples, references, fill, parallel_for);
    mixture.components = maximise(sums, references, options.regularisation);
    references = means(mixture.components);
  }
  mixture.lower_bound = -std::numeric_limits<double>::infinity();
  while (mixture.iterations < options.most_iterations && !mixture.converged) {
    ++mixture.iterations;
    const MixtureDensity density(mixture.components);
    references = means(mixture.components);
    const Sums sums = accumulate(
        samples, references,
        [&](std::int64_t first, std::int64_t count, double* responsibilities) {
          return density.responsibilities(samples.from(first), count, responsibilities);
        },
        parallel_for);
    mixture.components = maximise(sums, references, options.regularisation);
    const double before = mixture.lower_bound;
    mixture.lower_bound = sums.log_likelihood / static_cast<double>(samples.size());
    mixture.converged = std::abs(mixture.lower_bound - before) < options.tolerance;
  }
  return mixture;
}

}  // namespace

GaussianMixture fit_mixture_from(const FeatureSamples& samples,
                                 std::span<const double> responsibilities,
                                 const MixtureOptions& options, const ParallelFor& parallel_for) {
  check(samples, options);
  const std::int64_t size = samples.size();
  if (static_cast<std::int64_t>(responsibilities.size()) != size * options.components)
    throw Error(ErrorCode::kInternal,
                "fit_mixture_from needs a responsibility per component and sample");
  return maximise_expectation(
      samples,
      [&](std::int64_t first, std::int64_t count, double* rows) {
        for (int k = 0; k < options.components; ++k)
          std::copy_n(responsibilities.data() + k * size + first, count, rows + k * kStretch);
        return 0.0;
      },
      options, parallel_for);
}

GaussianMixture fit_mixture(const FeatureSamples& samples, const MixtureOptions& options,
                            const ParallelFor& parallel_for) {
  check(samples, options);
  std::mt19937_64 random(options.seed);
  std::optional<GaussianMixture> best;
  for (int start = 0; start < options.starts; ++start) {
    const std::vector<std::uint32_t> labels =
        k_means(samples, options.components, random, parallel_for);
    GaussianMixture mixture = maximise_expectation(
        samples,
        [&](std::int64_t first, std::int64_t count, double* rows) {
          for (int k = 0; k < options.components; ++k)
            for (std::int64_t i = 0; i < count; ++i)
              rows[k * kStretch + i] =
                  labels[static_cast<std::size_t>(first + i)] == static_cast<std::uint32_t>(k) ? 1
                                                                                               : 0;
          return 0.0;
        },
        options, parallel_for);
    if (!best || mixture.lower_bound > best->lower_bound) best = std::move(mixture);
  }
  return *best;
}

}  // namespace flatfield::numerics
