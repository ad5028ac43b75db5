#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "flatfield/core/merge.h"
#include "flatfield/methods/quality.h"

namespace flatfield::methods {

/// Density over 100 equal bins of [lo, hi].
class DensityBins {
 public:
  DensityBins(double lo, double hi);
  /// Adds the values where `inside` is 1 and not 0; those outside the range are dropped.
  void add(std::span<const float> values, std::span<const std::uint8_t> inside);
  void add(const DensityBins& other);
  /// Makes it that of all processes which share the values.
  void merge(const Merge& merge) { merge.sum(counts_); }
  /// In nats; no value where nothing lies in the range.
  [[nodiscard]] std::optional<double> differential_entropy() const;

 private:
  static constexpr std::size_t kBins = 100;
  double lo_;
  double hi_;
  double width_;
  double per_width_;
  std::array<std::int64_t, kBins + 1> counts_{};  ///< the last one of what lies outside
};

/// QualityNumbers::entropy, added up box by box by several workers.
class Entropies {
 public:
  /// Of nothing.
  Entropies() = default;
  /// `lo` and `hi` bound the values before the correction, and times `scale` those after it; there are none after it where
  /// the scale is not a finite number above 0.
  Entropies(double lo, double hi, double scale, int workers);
  void add_before(std::span<const float> values, std::span<const std::uint8_t> inside, int worker);
  void add_after(std::span<const float> values, std::span<const std::uint8_t> inside, int worker);
  /// Over all workers, and all processes. To be called once.
  [[nodiscard]] Change values(const Merge& merge);

 private:
  double scale_ = 0.0;               ///< 0: there is no range after
  std::vector<DensityBins> before_;  ///< of each worker
  std::vector<DensityBins> after_;
};

}  // namespace flatfield::methods
