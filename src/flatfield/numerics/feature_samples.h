#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace flatfield::numerics {

/// How many numbers describe one sample of the clustering functions. A constant, so that sums over
/// features are unrolled.
inline constexpr std::size_t kFeatureCount = 5;

using FeatureVector = std::array<double, kFeatureCount>;
/// Row by row.
using FeatureMatrix = std::array<FeatureVector, kFeatureCount>;

/// Samples, one column per feature; all columns have the same length.
struct FeatureSamples {
  std::array<std::vector<double>, kFeatureCount> columns;

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(columns[0].size()); }
  [[nodiscard]] FeatureVector operator[](std::int64_t index) const {
    FeatureVector sample;
    for (std::size_t f = 0; f < kFeatureCount; ++f)
      sample[f] = columns[f][static_cast<std::size_t>(index)];
    return sample;
  }
  void push_back(const FeatureVector& sample) {
    for (std::size_t f = 0; f < kFeatureCount; ++f) columns[f].push_back(sample[f]);
  }
  /// Pointers to the values of a sample and those after it, by feature.
  [[nodiscard]] std::array<const double*, kFeatureCount> from(std::int64_t index) const {
    std::array<const double*, kFeatureCount> pointers;
    for (std::size_t f = 0; f < kFeatureCount; ++f) pointers[f] = columns[f].data() + index;
    return pointers;
  }
};

/// `from()` of some FeatureSamples.
using FeaturePointers = std::array<const double*, kFeatureCount>;

}  // namespace flatfield::numerics
