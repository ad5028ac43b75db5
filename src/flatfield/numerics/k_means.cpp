#include "flatfield/numerics/k_means.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/core/extent.h"
#include "flatfield/numerics/uniform_random.h"

namespace flatfield::numerics {
namespace {

/// Samples per task; sums are taken per task and added up in order.
constexpr std::int64_t kSamplesPerTask = 16384;
/// Samples whose distances are held at once.
constexpr std::int64_t kStretch = 512;
constexpr int kMostIterations = 300;
constexpr double kTolerance = 1e-4;

using Centres = std::vector<FeatureVector>;

struct Stretch {
  std::int64_t first;
  std::int64_t count;
};

/// Calls f(stretch, task) for all samples; the stretches of a task come in order.
template <class F>
void for_each_stretch(std::int64_t samples, const ParallelFor& parallel_for, F f) {
  parallel_for(ceil_div(samples, kSamplesPerTask), [&](std::int64_t task) {
    const std::int64_t end = std::min((task + 1) * kSamplesPerTask, samples);
    for (std::int64_t first = task * kSamplesPerTask; first < end; first += kStretch)
      f(Stretch{first, std::min(kStretch, end - first)}, static_cast<std::size_t>(task));
  });
}

std::size_t task_count(const FeatureSamples& samples) {
  return static_cast<std::size_t>(ceil_div(samples.size(), kSamplesPerTask));
}

void squared_distances(const FeatureSamples& samples, const Stretch& stretch,
                       const FeatureVector& centre, double* __restrict squared) {
  const auto [a, b, c, d, e] = samples.from(stretch.first);
  for (std::int64_t i = 0; i < stretch.count; ++i) {
    const double u = a[i] - centre[0], v = b[i] - centre[1], w = c[i] - centre[2];
    const double s = d[i] - centre[3], t = e[i] - centre[4];
    squared[i] = u * u + v * v + w * w + s * s + t * t;
  }
}

double sum_in_order(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

/// Squared distance of each sample to the nearest of the centres so far, and its sum per task.
struct Potential {
  std::vector<double> squared;
  std::vector<double> per_task;
  [[nodiscard]] double total() const { return sum_in_order(per_task); }
};

/// The potential once `centre` has joined; `before` may be empty.
Potential with_centre(const FeatureSamples& samples, const Potential& before,
                      const FeatureVector& centre, const ParallelFor& parallel_for) {
  Potential after{std::vector<double>(static_cast<std::size_t>(samples.size())),
                  std::vector<double>(task_count(samples))};
  for_each_stretch(samples.size(), parallel_for, [&](const Stretch& stretch, std::size_t task) {
    double* to = after.squared.data() + stretch.first;
    squared_distances(samples, stretch, centre, to);
    double sum = 0;
    for (std::int64_t i = 0; i < stretch.count; ++i) {
      if (!before.squared.empty())
        to[i] = std::min(to[i], before.squared[static_cast<std::size_t>(stretch.first + i)]);
      sum += to[i];
    }
    after.per_task[task] += sum;
  });
  return after;
}

/// A sample drawn with probability proportional to its squared distance.
std::int64_t draw(const Potential& potential, std::mt19937_64& random) {
  const auto size = static_cast<std::int64_t>(potential.squared.size());
  double left = uniform(random) * potential.total();
  std::size_t task = 0;
  while (task + 1 < potential.per_task.size() && left >= potential.per_task[task])
    left -= potential.per_task[task++];
  std::int64_t i = static_cast<std::int64_t>(task) * kSamplesPerTask;
  for (; i + 1 < size; ++i) {
    left -= potential.squared[static_cast<std::size_t>(i)];
    if (left < 0) break;
  }
  return i;
}

Centres first_centres(const FeatureSamples& samples, int clusters, std::mt19937_64& random,
                      const ParallelFor& parallel_for) {
  const int candidates = 2 + static_cast<int>(std::log(clusters));
  const auto at_random =
      static_cast<std::int64_t>(uniform(random) * static_cast<double>(samples.size()));
  Centres centres{samples[at_random]};
  Potential potential = with_centre(samples, {}, centres[0], parallel_for);
  while (static_cast<int>(centres.size()) < clusters) {
    Potential best;
    FeatureVector chosen{};
    for (int candidate = 0; candidate < candidates; ++candidate) {
      const FeatureVector centre = samples[draw(potential, random)];
      Potential with = with_centre(samples, potential, centre, parallel_for);
      if (candidate > 0 && with.total() >= best.total()) continue;
      best = std::move(with);
      chosen = centre;
    }
    potential = std::move(best);
    centres.push_back(chosen);
  }
  return centres;
}

double mean_variance(const FeatureSamples& samples) {
  const auto count = static_cast<double>(samples.size());
  double sum = 0;
  for (const std::vector<double>& column : samples.columns) {
    const double mean = sum_in_order(column) / count;
    double squares = 0;
    for (const double value : column) squares += (value - mean) * (value - mean);
    sum += squares / count;
  }
  return sum / static_cast<double>(kFeatureCount);
}

/// What one task of an iteration adds up.
struct ClusterSums {
  std::vector<FeatureVector> sums;
  std::vector<std::int64_t> counts;
  bool changed = false;
};

/// Labels every sample with its nearest centre; returns the sums per task.
std::vector<ClusterSums> assign(const FeatureSamples& samples, const Centres& centres,
                                std::vector<std::uint32_t>& labels,
                                const ParallelFor& parallel_for) {
  const std::size_t clusters = centres.size();
  std::vector<ClusterSums> tasks(task_count(samples),
                                 ClusterSums{std::vector<FeatureVector>(clusters, FeatureVector{}),
                                             std::vector<std::int64_t>(clusters, 0), false});
  for_each_stretch(samples.size(), parallel_for, [&](const Stretch& stretch, std::size_t task) {
    std::array<double, kStretch> nearest;
    std::array<double, kStretch> squared;
    std::array<std::uint32_t, kStretch> label{};
    const auto count = static_cast<std::size_t>(stretch.count);
    squared_distances(samples, stretch, centres[0], nearest.data());
    for (std::size_t k = 1; k < clusters; ++k) {
      squared_distances(samples, stretch, centres[k], squared.data());
      for (std::size_t i = 0; i < count; ++i) {
        label[i] = squared[i] < nearest[i] ? static_cast<std::uint32_t>(k) : label[i];
        nearest[i] = std::min(squared[i], nearest[i]);
      }
    }
    const FeaturePointers x = samples.from(stretch.first);
    ClusterSums& own = tasks[task];
    for (std::size_t i = 0; i < count; ++i) {
      std::uint32_t& known = labels[static_cast<std::size_t>(stretch.first) + i];
      own.changed = own.changed || known != label[i];
      known = label[i];
      ++own.counts[known];
      for (std::size_t f = 0; f < kFeatureCount; ++f) own.sums[known][f] += x[f][i];
    }
  });
  return tasks;
}

/// Moves the centres to the means of their samples; returns the sum of the squared moves.
double move_centres(const std::vector<ClusterSums>& tasks, Centres& centres) {
  double moved = 0;
  for (std::size_t k = 0; k < centres.size(); ++k) {
    FeatureVector sum{};
    std::int64_t count = 0;
    for (const ClusterSums& task : tasks) {
      count += task.counts[k];
      for (std::size_t f = 0; f < kFeatureCount; ++f) sum[f] += task.sums[k][f];
    }
    if (count == 0) continue;
    for (std::size_t f = 0; f < kFeatureCount; ++f) {
      const double mean = sum[f] / static_cast<double>(count);
      moved += (mean - centres[k][f]) * (mean - centres[k][f]);
      centres[k][f] = mean;
    }
  }
  return moved;
}

}  // namespace

std::vector<std::uint32_t> k_means(const FeatureSamples& samples, int clusters,
                                   std::mt19937_64& random, const ParallelFor& parallel_for) {
  if (clusters < 1 || clusters > samples.size())
    throw Error(ErrorCode::kInternal, "k_means: " + std::to_string(clusters) + " clusters of " +
                                          std::to_string(samples.size()) + " samples");
  Centres centres = first_centres(samples, clusters, random, parallel_for);
  const double tolerance = kTolerance * mean_variance(samples);
  std::vector<std::uint32_t> labels(static_cast<std::size_t>(samples.size()),
                                    std::numeric_limits<std::uint32_t>::max());
  for (int iteration = 0; iteration < kMostIterations; ++iteration) {
    const std::vector<ClusterSums> tasks = assign(samples, centres, labels, parallel_for);
    const bool changed = std::any_of(tasks.begin(), tasks.end(),
                                     [](const ClusterSums& task) { return task.changed; });
    if (!changed || move_centres(tasks, centres) <= tolerance) break;
  }
  // The centres have moved once more since the labels were given.
  static_cast<void>(assign(samples, centres, labels, parallel_for));
  return labels;
}

}  // namespace flatfield::numerics
