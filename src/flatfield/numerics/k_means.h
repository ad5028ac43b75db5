#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/numerics/feature_samples.h"

namespace flatfield::numerics {

/// Assigns each sample to one of `clusters` (1 <= clusters <= samples.size()) as
/// sklearn.cluster.KMeans(n_init=1) does: greedy k-means++ centres (2 + ln(clusters) candidates for
/// each, the one that lowers the sum of squared distances most is taken), then Lloyd's iterations
/// until no label changes, the centres move by less than 1e-4 of the mean variance of the
/// features in total, or 300 are done. Unlike there, a cluster that loses all its samples keeps its
/// centre. Of equally near centres the first wins. Same bits for any number of threads. Throws
/// Error(kInternal) for an impossible number of clusters.
[[nodiscard]] std::vector<std::uint32_t> k_means(const FeatureSamples& samples, int clusters,
                                                 std::mt19937_64& random,
                                                 const ParallelFor& parallel_for);

}  // namespace flatfield::numerics
