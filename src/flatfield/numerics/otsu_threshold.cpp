#include "flatfield/numerics/otsu_threshold.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

constexpr std::size_t kBins = 256;

}  // namespace

float otsu_threshold(std::span<const float> values) {
  if (values.empty()) throw Error(ErrorCode::kInternal, "otsu_threshold: there are no values");
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  const double low = *lowest;
  const double width = static_cast<double>(*highest) - low;
  if (width == 0.0) return *lowest;

  // numpy.histogram: a guess of the bin by one product, corrected by its float32 edges.
  std::array<float, kBins + 1> edges{};
  for (std::size_t i = 0; i <= kBins; ++i)
    edges[i] = static_cast<float>(low + width * static_cast<double>(i) / kBins);
  std::array<std::int64_t, kBins> counts{};
  for (const float value : values) {
    auto bin = std::min(static_cast<std::size_t>((value - low) / width * kBins), kBins - 1);
    if (value < edges[bin]) --bin;
    if (bin + 1 < kBins && value >= edges[bin + 1]) ++bin;
    ++counts[bin];
  }

  std::array<double, kBins> centres{};
  double total = 0.0;
  double total_sum = 0.0;
  for (std::size_t i = 0; i < kBins; ++i) {
    centres[i] = (static_cast<double>(edges[i]) + static_cast<double>(edges[i + 1])) / 2.0;
    total += static_cast<double>(counts[i]);
    total_sum += static_cast<double>(counts[i]) * centres[i];
  }
  double below = 0.0;
  double below_sum = 0.0;
  double largest = -1.0;
  std::size_t best = 0;
  for (std::size_t i = 0; i + 1 < kBins; ++i) {
    below += static_cast<double>(counts[i]);
    below_sum += static_cast<double>(counts[i]) * centres[i];
    const double above = total - below;
    const double difference = below_sum / below - (total_sum - below_sum) / above;
    const double variance = below * above * difference * difference;
    if (variance > largest) {
      largest = variance;
      best = i;
    }
  }
  return static_cast<float>(centres[best]);
}

}  // namespace flatfield::numerics
