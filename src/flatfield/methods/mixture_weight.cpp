#include "flatfield/methods/mixture_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/methods/voxel_features.h"
#include "flatfield/numerics/exponential.h"
#include "flatfield/numerics/gaussian_mixture.h"
#include "flatfield/numerics/mask_erosion.h"
#include "flatfield/numerics/uniform_random.h"

namespace flatfield::methods {
namespace {

using numerics::FeatureSamples;
using numerics::FeatureVector;
using numerics::kFeatureCount;
using numerics::MixtureDensity;

/// Deviations below this one leave a feature unscaled.
constexpr double kLeastDeviation = 1e-6;

/// Draws `picks` of a population that passes by one after the other, every subset being equally
/// likely (selection sampling: Knuth, The Art of Computer Programming 2, algorithm S).
class SelectionSampling {
 public:
  SelectionSampling(std::int64_t population, std::int64_t picks, std::uint64_t seed)
      : population_(population), picks_(std::min(picks, population)), random_(seed) {}

  /// Whether the next one is taken.
  bool take() {
    const bool all = picks_ == population_;
    const bool taken = all || numerics::uniform(random_) * static_cast<double>(population_) <
                                  static_cast<double>(picks_);
    --population_;
    if (taken) --picks_;
    return taken;
  }

 private:
  std::int64_t population_;  ///< still to come
  std::int64_t picks_;       ///< still to be taken
  std::mt19937_64 random_;
};

FeatureVector features_at(const FeatureSlab& slab, std::int64_t z, std::int64_t y, std::int64_t x) {
  FeatureVector sample;
  for (std::size_t f = 0; f < kFeatureCount; ++f) sample[f] = slab.features[f].at(z, y, x);
  return sample;
}

struct Training {
  FeatureSamples foreground;
  FeatureSamples background;
};

void reserve(FeatureSamples& samples, std::int64_t count) {
  for (std::vector<double>& column : samples.columns)
    column.reserve(static_cast<std::size_t>(count));
}

/// The features of the voxels that the mixtures are fitted to, in C order.
Training draw_samples(BlockView<const float> v_low, BitView core,
                      const std::vector<std::int64_t>& background_planes,
                      const ForegroundWeightOptions& options, const ParallelFor& parallel_for) {
  std::vector<bool> is_background(static_cast<std::size_t>(v_low.shape.z), false);
  for (const std::int64_t z : background_planes) is_background[static_cast<std::size_t>(z)] = true;
  const std::int64_t core_voxels = core.count();
  const std::int64_t background_voxels =
      std::count(is_background.begin(), is_background.end(), true) * v_low.shape.y * v_low.shape.x;
  const auto expect_enough = [&](std::int64_t voxels, const std::string& what) {
    const std::int64_t drawn = std::min(voxels, options.gmm_max_samples);
    if (drawn < options.gmm_n_components)
      throw Error(ErrorCode::kBadInput,
                  fmt::format("{} voxels of {} are too few for a Gaussian mixture of {} components",
                              drawn, what, options.gmm_n_components));
  };
  expect_enough(core_voxels, fmt::format("the mask eroded by {} voxels", options.erosion_radius));
  expect_enough(background_voxels, "the background planes");

  const auto seed = static_cast<std::uint64_t>(options.gmm_random_state);
  SelectionSampling of_core(core_voxels, options.gmm_max_samples, seed);
  SelectionSampling of_background(background_voxels, options.gmm_max_samples, seed);
  Training training;
  reserve(training.foreground, std::min(core_voxels, options.gmm_max_samples));
  reserve(training.background, std::min(background_voxels, options.gmm_max_samples));
  for_each_feature_slab(v_low, parallel_for, [&](const FeatureSlab& slab) {
    const Extent3& shape = slab.features[0].shape;
    for (std::int64_t z = 0; z < shape.z; ++z) {
      const bool background = is_background[static_cast<std::size_t>(slab.first_plane + z)];
      for (std::int64_t y = 0; y < shape.y; ++y) {
        const BitRow inside = core.row(slab.first_plane + z, y);
        for (std::int64_t x = 0; x < shape.x; ++x) {
          if (inside[x] && of_core.take())
            training.foreground.push_back(features_at(slab, z, y, x));
          if (background && of_background.take())
            training.background.push_back(features_at(slab, z, y, x));
        }
      }
    }
  });
  return training;
}

/// (x - mean) / deviation of each feature.
struct Standardisation {
  FeatureVector mean{};
  FeatureVector deviation{};
};

/// Of all samples of both kinds; a deviation below kLeastDeviation becomes 1.
Standardisation pooled_standardisation(const Training& training) {
  Standardisation result;
  const auto count = static_cast<double>(training.foreground.size() + training.background.size());
  for (std::size_t f = 0; f < kFeatureCount; ++f) {
    const auto sum_of = [&](auto term) {
      double sum = 0;
      for (const FeatureSamples* samples : {&training.foreground, &training.background})
        for (const double value : samples->columns[f]) sum += term(value);
      return sum;
    };
    const double mean = sum_of([](double value) { return value; }) / count;
    const double squares = sum_of([&](double value) { return (value - mean) * (value - mean); });
    const double deviation = std::sqrt(squares / count);
    result.mean[f] = mean;
    result.deviation[f] = deviation < kLeastDeviation ? 1.0 : deviation;
  }
  return result;
}

void standardise(const Standardisation& by, FeatureSamples& samples) {
  for (std::size_t f = 0; f < kFeatureCount; ++f)
    for (double& value : samples.columns[f]) value = (value - by.mean[f]) / by.deviation[f];
}

MixtureDensity fitted_density(const FeatureSamples& samples, const ForegroundWeightOptions& options,
                              const ParallelFor& parallel_for) {
  numerics::MixtureOptions mixture;
  mixture.components = static_cast<int>(
      std::min<std::int64_t>(options.gmm_n_components, std::numeric_limits<int>::max()));
  mixture.seed = static_cast<std::uint64_t>(options.gmm_random_state);
  return MixtureDensity(numerics::fit_mixture(samples, mixture, parallel_for).components);
}

/// exp(foreground) / (exp(foreground) + exp(background)).
float posterior(double log_foreground, double log_background) {
  const double difference = log_foreground - log_background;
  const double ratio =
      numerics::exp_of_nonpositive(std::max(-std::abs(difference), numerics::kLeastExponent));
  return static_cast<float>(difference < 0 ? ratio / (1 + ratio) : 1 / (1 + ratio));
}

/// Voxels that wait for their posteriors, so that these are computed many at a time.
class PendingPosteriors {
 public:
  PendingPosteriors(const MixtureDensity& foreground, const MixtureDensity& background,
                    const Standardisation& standardisation)
      : foreground_(foreground), background_(background), standardisation_(standardisation) {
    for (std::vector<double>& column : waiting_.columns)
      column.resize(static_cast<std::size_t>(MixtureDensity::kStretch));
  }

  void add(const FeatureVector& features, float* weight) {
    for (std::size_t f = 0; f < kFeatureCount; ++f)
      waiting_.columns[f][count_] =
          (features[f] - standardisation_.mean[f]) / standardisation_.deviation[f];
    weights_[count_++] = weight;
    if (count_ == weights_.size()) flush();
  }

  void flush() {
    const auto count = static_cast<std::int64_t>(count_);
    foreground_.log_density(waiting_.from(0), count, log_foreground_.data());
    background_.log_density(waiting_.from(0), count, log_background_.data());
    for (std::size_t i = 0; i < count_; ++i)
      *weights_[i] = posterior(log_foreground_[i], log_background_[i]);
    count_ = 0;
  }

 private:
  static constexpr std::size_t kSize = static_cast<std::size_t>(MixtureDensity::kStretch);
  const MixtureDensity& foreground_;
  const MixtureDensity& background_;
  const Standardisation& standardisation_;
  FeatureSamples waiting_;
  std::array<float*, kSize> weights_{};
  std::array<double, kSize> log_foreground_{};
  std::array<double, kSize> log_background_{};
  std::size_t count_ = 0;
};

}  // namespace

Block<float> mixture_weight(BlockView<const float> v_low, BitView mask,
                            const std::vector<std::int64_t>& background_planes,
                            const ForegroundWeightOptions& options,
                            const ParallelFor& parallel_for) {
  Training training;
  {
    const BitVolume core =
        numerics::erode_by_ball(mask, options.erosion_radius, parallel_for);
    training = draw_samples(v_low, core.view(), background_planes, options, parallel_for);
  }
  const Standardisation standardisation = pooled_standardisation(training);
  standardise(standardisation, training.foreground);
  standardise(standardisation, training.background);
  const MixtureDensity foreground = fitted_density(training.foreground, options, parallel_for);
  const MixtureDensity background = fitted_density(training.background, options, parallel_for);
  training = {};

  Block<float> weight(v_low.shape, 0.0F);
  for_each_feature_slab(v_low, parallel_for, [&](const FeatureSlab& slab) {
    const Extent3& shape = slab.features[0].shape;
    parallel_for(shape.z, [&](std::int64_t z) {
      PendingPosteriors pending(foreground, background, standardisation);
      for (std::int64_t y = 0; y < shape.y; ++y) {
        const BitRow inside = mask.row(slab.first_plane + z, y);
        float* weights = weight.view().row(slab.first_plane + z, y);
        for (std::int64_t x = 0; x < shape.x; ++x)
          if (inside[x]) pending.add(features_at(slab, z, y, x), weights + x);
      }
      pending.flush();
    });
  });
  return weight;
}

std::int64_t mixture_weight_bytes(const Extent3& shape, const ForegroundWeightOptions& options, int workers) {
  constexpr std::int64_t kFeaturePlanes = 40;
  // Of each sample its features, its distance from its centre and its label, and its share of each component.
  const std::int64_t sample = 48 + 8 * (options.gmm_n_components + 2);
  const std::int64_t samples = 2 * std::min(options.gmm_max_samples, shape.volume());
  return BitVolume::bytes_of(shape) + workers * numerics::erosion_bytes(shape, options.erosion_radius) +
         kFeaturePlanes * kFeatureCount * shape.y * shape.x * static_cast<std::int64_t>(sizeof(float)) + samples * sample;
}

}  // namespace flatfield::methods
