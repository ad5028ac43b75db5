#include "flatfield/numerics/gaussian_mixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <thread>

#include "flatfield/core/error.h"
#include "flatfield/numerics/k_means.h"

namespace flatfield::numerics {
namespace {

using Matrix = FeatureMatrix;

void parallel_backwards(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::vector<std::jthread> threads;
  for (std::int64_t t = 0; t < 3; ++t)
    threads.emplace_back([=, &body] {
      for (std::int64_t i = count - 1 - t; i >= 0; i -= 3) body(i);
    });
}

/// Samples around `centres` points, 8 apart, of different spread and shape.
FeatureSamples clouds(std::int64_t count, int centres, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  FeatureSamples samples;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto c = static_cast<double>(i % centres);
    FeatureVector x;
    for (double& value : x) value = normal(random) * (0.5 + 0.2 * c);
    x[1] += 0.7 * x[0];
    x[3] -= 0.4 * x[2];
    x[0] += 8 * c;
    x[4] -= 8 * c;
    samples.push_back(x);
  }
  return samples;
}

/// Determinant and solution by Gauss-Jordan elimination with long doubles.
long double quadratic_form(Matrix m, FeatureVector v, long double& log_determinant) {
  const FeatureVector right = v;
  log_determinant = 0;
  long double a[5][6];
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 5; ++j) a[i][j] = m[i][j];
    a[i][5] = v[i];
  }
  for (std::size_t p = 0; p < 5; ++p) {
    log_determinant += std::log(a[p][p]);
    for (std::size_t i = 0; i < 5; ++i) {
      if (i == p) continue;
      const long double factor = a[i][p] / a[p][p];
      for (std::size_t j = 0; j < 6; ++j) a[i][j] -= factor * a[p][j];
    }
  }
  long double sum = 0;
  for (std::size_t i = 0; i < 5; ++i) sum += right[i] * a[i][5] / a[i][i];
  return sum;
}

long double naive_log_component(const MixtureComponent& component, const FeatureVector& x) {
  FeatureVector d;
  for (std::size_t f = 0; f < 5; ++f) d[f] = x[f] - component.mean[f];
  long double log_determinant = 0;
  const long double form = quadratic_form(component.covariance, d, log_determinant);
  return std::log(static_cast<long double>(component.weight)) -
         0.5L * (5 * std::log(2 * std::numbers::pi_v<long double>) + log_determinant + form);
}

/// Expectation maximisation straight from the formulas, two passes for the covariances.
GaussianMixture naive_fit(const FeatureSamples& samples, std::vector<long double> r,
                          const MixtureOptions& options) {
  const std::int64_t n = samples.size();
  GaussianMixture mixture;
  mixture.lower_bound = -std::numeric_limits<double>::infinity();
  const auto maximise = [&] {
    mixture.components.assign(static_cast<std::size_t>(options.components), {});
    for (int k = 0; k < options.components; ++k) {
      MixtureComponent& component = mixture.components[static_cast<std::size_t>(k)];
      const long double* row = r.data() + k * n;
      long double weight = 10 * std::numeric_limits<double>::epsilon();
      for (std::int64_t i = 0; i < n; ++i) weight += row[i];
      component.weight = static_cast<double>(weight / static_cast<long double>(n));
      for (std::size_t f = 0; f < 5; ++f) {
        long double sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += row[i] * samples[i][f];
        component.mean[f] = static_cast<double>(sum / weight);
      }
      for (std::size_t f = 0; f < 5; ++f)
        for (std::size_t g = 0; g < 5; ++g) {
          long double sum = 0;
          for (std::int64_t i = 0; i < n; ++i)
            sum +=
                row[i] * (samples[i][f] - component.mean[f]) * (samples[i][g] - component.mean[g]);
          component.covariance[f][g] =
              static_cast<double>(sum / weight) + (f == g ? options.regularisation : 0.0);
        }
    }
  };
  maximise();
  while (mixture.iterations < options.most_iterations) {
    ++mixture.iterations;
    long double log_likelihood = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      long double sum = 0;
      for (int k = 0; k < options.components; ++k)
        sum += r[static_cast<std::size_t>(k * n + i)] = std::exp(
            naive_log_component(mixture.components[static_cast<std::size_t>(k)], samples[i]));
      for (int k = 0; k < options.components; ++k) r[static_cast<std::size_t>(k * n + i)] /= sum;
      log_likelihood += std::log(sum);
    }
    maximise();
    const double before = mixture.lower_bound;
    mixture.lower_bound = static_cast<double>(log_likelihood / static_cast<long double>(n));
    mixture.converged = std::abs(mixture.lower_bound - before) < options.tolerance;
    if (mixture.converged) break;
  }
  return mixture;
}

void expect_close(const GaussianMixture& found, const GaussianMixture& expected, double tolerance) {
  ASSERT_EQ(found.components.size(), expected.components.size());
  EXPECT_EQ(found.iterations, expected.iterations);
  EXPECT_EQ(found.converged, expected.converged);
  EXPECT_NEAR(found.lower_bound, expected.lower_bound, tolerance);
  for (std::size_t k = 0; k < found.components.size(); ++k) {
    const MixtureComponent &a = found.components[k], &b = expected.components[k];
    EXPECT_NEAR(a.weight, b.weight, tolerance);
    for (std::size_t f = 0; f < 5; ++f) {
      EXPECT_NEAR(a.mean[f], b.mean[f], tolerance);
      for (std::size_t g = 0; g < 5; ++g)
        EXPECT_NEAR(a.covariance[f][g], b.covariance[f][g], tolerance);
    }
  }
}

TEST(GaussianMixture, from_given_responsibilities_equals_the_naive_twin) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    MixtureOptions options;
    options.components = 1 + static_cast<int>(random() % 4);
    options.most_iterations = 1 + static_cast<int>(random() % 15);
    // 600 samples: more than two stretches, and not a multiple of one.
    const FeatureSamples samples = clouds(600, 1 + static_cast<int>(random() % 3), seed);
    const std::int64_t n = samples.size();
    std::vector<double> r(static_cast<std::size_t>(options.components * n));
    for (std::int64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (int k = 0; k < options.components; ++k)
        sum += r[static_cast<std::size_t>(k * n + i)] = 1.0 + static_cast<double>(random() % 1000);
      for (int k = 0; k < options.components; ++k) r[static_cast<std::size_t>(k * n + i)] /= sum;
    }
    expect_close(fit_mixture_from(samples, r, options, serial_for),
                 naive_fit(samples, {r.begin(), r.end()}, options), 1e-8);
  }
}

TEST(GaussianMixture, finds_the_clouds_that_the_samples_come_from) {
  const FeatureSamples samples = clouds(3000, 3, 5);
  GaussianMixture mixture = fit_mixture(samples, {}, serial_for);
  std::sort(mixture.components.begin(), mixture.components.end(),
            [](const auto& a, const auto& b) { return a.mean[0] < b.mean[0]; });
  EXPECT_TRUE(mixture.converged);
  for (std::size_t k = 0; k < 3; ++k) {
    const MixtureComponent& component = mixture.components[k];
    const double spread = 0.5 + 0.2 * static_cast<double>(k);
    EXPECT_NEAR(component.weight, 1.0 / 3, 1e-3);
    EXPECT_NEAR(component.mean[0], 8 * static_cast<double>(k), 0.1);
    EXPECT_NEAR(component.covariance[0][0], spread * spread, 0.15 * spread);
    EXPECT_NEAR(component.covariance[0][1], 0.7 * spread * spread, 0.15 * spread);
  }
}

TEST(GaussianMixture, has_the_same_bits_for_any_number_of_threads_and_for_the_same_seed) {
  const FeatureSamples samples = clouds(40000, 4, 7);
  MixtureOptions options;
  options.seed = 11;
  options.most_iterations = 5;
  const GaussianMixture one = fit_mixture(samples, options, serial_for);
  const GaussianMixture three = fit_mixture(samples, options, parallel_backwards);
  ASSERT_EQ(one.components.size(), three.components.size());
  EXPECT_EQ(std::memcmp(one.components.data(), three.components.data(),
                        one.components.size() * sizeof(MixtureComponent)),
            0);
  EXPECT_EQ(one.lower_bound, three.lower_bound);
}

TEST(GaussianMixture, takes_the_start_with_the_highest_lower_bound) {
  // Seven clouds for three components: starts end in different optima.
  const FeatureSamples samples = clouds(700, 7, 3);
  MixtureOptions one;
  one.starts = 1;
  one.seed = 4;
  MixtureOptions many = one;
  many.starts = 8;
  EXPECT_GE(fit_mixture(samples, many, serial_for).lower_bound,
            fit_mixture(samples, one, serial_for).lower_bound);
}

TEST(GaussianMixture, of_equal_samples_is_a_point_as_wide_as_the_regularisation) {
  FeatureSamples samples;
  for (int i = 0; i < 10; ++i) samples.push_back({1, 2, 3, 4, 5});
  const GaussianMixture mixture = fit_mixture(samples, {}, serial_for);
  const auto heaviest =
      std::max_element(mixture.components.begin(), mixture.components.end(),
                       [](const auto& a, const auto& b) { return a.weight < b.weight; });
  EXPECT_NEAR(heaviest->weight, 1.0, 1e-9);
  EXPECT_NEAR(heaviest->mean[4], 5.0, 1e-9);
  EXPECT_NEAR(heaviest->covariance[0][0], 1e-6, 1e-9);
  EXPECT_TRUE(std::isfinite(mixture.lower_bound));
}

TEST(GaussianMixture, refuses_fewer_samples_than_components_and_samples_that_are_not_finite) {
  FeatureSamples samples;
  samples.push_back({1, 2, 3, 4, 5});
  samples.push_back({2, 2, 3, 4, 5});
  try {
    (void)fit_mixture(samples, {}, serial_for);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find("2 samples are too few"), std::string::npos);
  }
  samples.push_back({std::nan(""), 2, 3, 4, 5});
  EXPECT_THROW((void)fit_mixture(samples, {}, serial_for), Error);
  const std::vector<double> too_few(4, 0.5);
  EXPECT_THROW((void)fit_mixture_from(samples, too_few, {}, serial_for), Error);
}

TEST(MixtureDensity, is_the_sum_of_the_weighted_gaussians_far_out_too) {
  const FeatureSamples samples = clouds(300, 3, 2);
  const GaussianMixture mixture = fit_mixture(samples, {}, serial_for);
  FeatureSamples points = clouds(200, 3, 9);
  for (double& x : points.columns[2]) x *= 30;  // densities that underflow outside of logarithms
  std::vector<double> found(200);
  MixtureDensity(mixture.components).log_density(points.from(0), 200, found.data());
  for (std::int64_t i = 0; i < 200; ++i) {
    long double largest = -std::numeric_limits<long double>::infinity();
    std::vector<long double> terms;
    for (const MixtureComponent& component : mixture.components) {
      terms.push_back(naive_log_component(component, points[i]));
      largest = std::max(largest, terms.back());
    }
    long double sum = 0;
    for (const long double term : terms) sum += std::exp(term - largest);
    const auto expected = static_cast<double>(largest + std::log(sum));
    EXPECT_NEAR(found[static_cast<std::size_t>(i)], expected, 1e-9 * (1 + std::abs(expected)));
  }
}

TEST(KMeans, gives_clouds_that_lie_apart_a_label_each) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const FeatureSamples samples = clouds(900, 3, seed);
    std::mt19937_64 random(seed);
    const std::vector<std::uint32_t> labels = k_means(samples, 3, random, serial_for);
    for (std::size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(labels[i], labels[i % 3]);
    EXPECT_NE(labels[0], labels[1]);
    EXPECT_NE(labels[1], labels[2]);
    EXPECT_NE(labels[0], labels[2]);
  }
}

TEST(KMeans, leaves_every_sample_with_the_nearest_mean) {
  const FeatureSamples samples = clouds(20000, 6, 4);
  std::mt19937_64 random(1);
  const std::vector<std::uint32_t> labels = k_means(samples, 4, random, parallel_backwards);
  std::vector<FeatureVector> means(4, FeatureVector{});
  std::vector<double> counts(4, 0);
  for (std::int64_t i = 0; i < samples.size(); ++i) {
    const std::uint32_t k = labels[static_cast<std::size_t>(i)];
    ++counts[k];
    for (std::size_t f = 0; f < 5; ++f) means[k][f] += samples[i][f];
  }
  for (std::size_t k = 0; k < 4; ++k) {
    ASSERT_GT(counts[k], 0);
    for (double& value : means[k]) value /= counts[k];
  }
  int elsewhere = 0;  // the tolerance ends the iterations a little early
  for (std::int64_t i = 0; i < samples.size(); ++i) {
    std::vector<double> squared(4, 0);
    for (std::size_t k = 0; k < 4; ++k)
      for (std::size_t f = 0; f < 5; ++f)
        squared[k] += (samples[i][f] - means[k][f]) * (samples[i][f] - means[k][f]);
    const auto nearest = std::min_element(squared.begin(), squared.end()) - squared.begin();
    elsewhere += nearest != labels[static_cast<std::size_t>(i)];
  }
  EXPECT_LT(elsewhere, 100);
}

TEST(KMeans, of_fewer_distinct_samples_than_clusters_leaves_clusters_empty) {
  FeatureSamples samples;
  for (int i = 0; i < 8; ++i) samples.push_back({static_cast<double>(i % 2), 0, 0, 0, 0});
  std::mt19937_64 random(1);
  const std::vector<std::uint32_t> labels = k_means(samples, 5, random, serial_for);
  for (std::size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(labels[i], labels[i % 2]);
  EXPECT_NE(labels[0], labels[1]);
  EXPECT_THROW((void)k_means(samples, 9, random, serial_for), Error);
  EXPECT_THROW((void)k_means(samples, 0, random, serial_for), Error);
}

}  // namespace
}  // namespace flatfield::numerics
