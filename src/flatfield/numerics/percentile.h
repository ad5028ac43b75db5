#pragma once

#include <cstdint>
#include <span>

namespace flatfield::numerics {

/// numpy.percentile(values, q, method="linear"), bit for bit: linear interpolation between order
/// statistics, evaluated in double (but for the difference of the two neighbours, which numpy takes
/// in the type of the values). `values` is reordered; must hold no NaN. Throws Error(kInternal) if
/// `values` is empty or q lies outside [0, 100].
[[nodiscard]] double percentile(std::span<float> values, double q);
[[nodiscard]] double percentile(std::span<double> values, double q);

/// numpy.median of float32 values: the mean of the two middle values for an even count, rounded to
/// float32. `values` is reordered; must hold no NaN. Throws Error(kInternal) if it is empty.
[[nodiscard]] float median(std::span<float> values);

/// What `percentile` and `median` make of the two order statistics that they need: those of ranks
/// floor((count - 1) * q / 100) and one more, and the two middle ones.
[[nodiscard]] double interpolated_percentile(float lower, float upper, std::uint64_t count, double q);
[[nodiscard]] float middle_of(float lower, float upper);

/// Mean and population standard deviation (numpy.std).
struct Moments {
  double mean = 0;
  double deviation = 0;
};
/// Two passes in double, in an order of summation that depends on the number of values alone.
/// Throws Error(kInternal) if there are none.
[[nodiscard]] Moments moments(std::span<const float> values);

/// Percentile of uint16 values from their histogram of unit-width bins: with the total count W and
/// target q/100 * W, the first bin whose cumulative count reaches the target, interpolated inside
/// the bin: edge + (target - before) / count; a bin of count zero gives its lower edge. `counts`
/// has one entry per value from 0 on. Throws Error(kInternal) if it has none or q is not within
/// 0..100.
[[nodiscard]] double histogram_percentile(std::span<const std::int64_t> counts, double q);

/// A value and how much it counts, from 0.
struct WeightedValue {
  float value = 0;
  float weight = 0;
};

/// numpy.percentile(values, q, weights=weights, method="inverted_cdf") of numpy 2 in double: the
/// values in order (ties as given), the first whose cumulative weight, as a share
/// of the total, reaches q/100; values before any weight are passed over. `samples` is sorted; must
/// hold no NaN. Throws Error(kInternal) if the total weight is not positive and finite, or q lies
/// outside [0, 100].
[[nodiscard]] float weighted_percentile(std::span<WeightedValue> samples, double q);

/// The same question of a histogram of unit-width bins as `histogram_percentile`, with the sum of
/// the weights per bin: the lower edge of the first bin whose cumulative weight reaches the target
/// q/100 * W. 0 where there is no weight at all. Throws as `histogram_percentile` does.
[[nodiscard]] double weighted_histogram_percentile(std::span<const double> weights, double q);

}  // namespace flatfield::numerics
