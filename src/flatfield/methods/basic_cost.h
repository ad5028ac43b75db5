#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/methods/frame_stack.h"

namespace flatfield::methods {

/// Parameters of the cost that autotune minimises, with the names and defaults of BaSiCPy 1.2.0.
struct BasicCostOptions {
  double histogram_qmin = 0.01;  ///< 0..1
  double histogram_qmax = 0.99;  ///< 0..1
  double vmin_factor = 0.6;
  double vrange_factor = 1.5;
  std::int64_t histogram_bins = 1000;  ///< >= 1
  bool histogram_use_fitting_weight = true;
  double fourier_l0_norm_image_threshold = 0.1;
  double fourier_l0_norm_fourier_radius = 10.0;
  double fourier_l0_norm_threshold = 0.0;
  double fourier_l0_norm_cost_coef = 30.0;
};

/// Frames as a flatfield and darkfield of their shape correct them, (x - D) / S in float32,
/// computed on the fly: what is measured of them needs no second stack. All must outlive it.
class CorrectedFrames {
 public:
  CorrectedFrames(const FrameStack& images, BlockView<const float> flatfield,
                  BlockView<const float> darkfield);

  /// numpy.quantile of all values, for several q in 0..1: exact, by two passes over the frames.
  [[nodiscard]] std::vector<double> quantiles(const std::vector<double>& q,
                                              const ParallelFor& parallel_for) const;

  /// Differential entropy in nats of the values in [low, low + range], from a histogram of equal
  /// bins (numpy.histogram with density=True), in which each value counts as much as its weight, if
  /// there are weights. Not a number if no value lies there, or if `low` or `range` are not finite
  /// or `range` is not positive.
  [[nodiscard]] double entropy(double low, double range, std::int64_t bins,
                               const std::optional<FrameStack>& weights,
                               const ParallelFor& parallel_for) const;

 private:
  FrameStack images_;
  const float* flatfield_;
  const float* darkfield_;
};

/// Which share of the coefficients i, j > 0 of the unnormalised DCT-II of a (1, y, x) flatfield
/// with i^2 + j^2 > radius^2 is larger than the threshold (signed). 0 if there are none.
[[nodiscard]] double fourier_l0_norm(BlockView<const float> flatfield, double threshold,
                                     double radius, const ParallelFor& parallel_for);

/// The parts of the cost of a flatfield and darkfield (docs/methods.md 8.7), smaller = better.
struct BasicCost {
  double entropy = 0.0;
  double fourier_l0_norm = 0.0;
  double cost = 0.0;
};

/// `range` is that of `entropy_range`, for the first fit.
[[nodiscard]] BasicCost measure_cost(const FrameStack& images,
                                     const std::optional<FrameStack>& weights,
                                     BlockView<const float> flatfield,
                                     BlockView<const float> darkfield, double range,
                                     const BasicCostOptions& options,
                                     const ParallelFor& parallel_for);

/// The width of all histograms: (q_max - vmin_factor * q_min) * vrange_factor of the frames as a
/// first fit corrects them.
[[nodiscard]] double entropy_range(const FrameStack& images, BlockView<const float> flatfield,
                                   BlockView<const float> darkfield,
                                   const BasicCostOptions& options,
                                   const ParallelFor& parallel_for);

}  // namespace flatfield::methods
