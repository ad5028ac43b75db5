#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::methods {

// The passes of BaSiC over its (frames, pixels) arrays. Arrays are float32, all arithmetic is
// double. A pass reads each array once, in blocks of pixels that belong to one thread; what is
// summed up over pixels is summed per block, and over the blocks in their order. So the bits do not
// depend on the number of threads.

/// The arrays of one fit, (1, frames, pixels) each. The residual E of the equations is not stored:
/// `explained` is I - E, which the passes need more often.
struct BasicArrays {
  Block<float> images;      ///< I
  Block<float> explained;   ///< R = I - E
  Block<float> multiplier;  ///< the Lagrange multiplier
  Block<float> weights;     ///< W but for its factor
  double weight_factor = 1.0;

  [[nodiscard]] std::int64_t frames() const { return images.shape().y; }
  [[nodiscard]] std::int64_t pixels() const { return images.shape().x; }
};

/// I_B = B_n S + D.
struct BasicModel {
  std::span<const double> flatfield;  ///< S
  std::span<const double> baseline;   ///< B
  std::span<const double> darkfield;  ///< D = D_R + D_Z
};

/// Sums of a pass that shrinks the residual.
struct ShrinkSums {
  double change_squared = 0.0;      ///< of E
  std::vector<double> projections;  ///< of each frame: sum over pixels of S (R + multiplier / mu)
  std::vector<double> explained;    ///< of each pixel over the frames, if asked for
  std::vector<double> multiplier;   ///< the same
};

/// E = shrink(I - I_B + multiplier / mu, threshold * W).
[[nodiscard]] ShrinkSums shrink_residual(BasicArrays& arrays, const BasicModel& model, double mu,
                                         double threshold, bool with_pixel_sums,
                                         const ParallelFor& parallel_for);

struct MultiplierSums {
  double misfit_squared = 0.0;  ///< of F = R - I_B
  std::vector<double>
      gradient;  ///< of each pixel: sum of B_n (F + multiplier / next mu), if asked for
};

/// multiplier += mu * (R - I_B).
[[nodiscard]] MultiplierSums update_multiplier(BasicArrays& arrays, const BasicModel& model,
                                               double mu, double next_mu, bool with_gradient,
                                               const ParallelFor& parallel_for);

struct ApproximateSums {
  double misfit_squared = 0.0;     ///< of F = R - I_B
  std::vector<double> frame_sums;  ///< of R over the pixels
  std::vector<double> explained;   ///< of each pixel: sum of R over the frames
  std::vector<double> multiplier;  ///< of each pixel: sum of the new multiplier over the frames
};

/// Both of the above in one pass, as the approximate mode may do it: E = shrink(I - I_B +
/// multiplier / mu, threshold * W), then multiplier += mu * (R - I_B) with the same I_B.
[[nodiscard]] ApproximateSums shrink_and_update(BasicArrays& arrays, const BasicModel& model,
                                                double mu, double threshold,
                                                const ParallelFor& parallel_for);

/// Of each pixel: the sum of R over the frames that are chosen (values not 0).
[[nodiscard]] std::vector<double> sum_of_frames(const BasicArrays& arrays,
                                                std::span<const std::uint8_t> chosen,
                                                const ParallelFor& parallel_for);

/// Of each frame: the sum of R over the pixels that are chosen.
[[nodiscard]] std::vector<double> sum_of_pixels(const BasicArrays& arrays,
                                                std::span<const std::uint8_t> chosen,
                                                const ParallelFor& parallel_for);

/// How the next weights follow from a residual; `m_n` is the mean of I_B over the pixels of frame
/// n.
enum class Reweighting {
  kLadmap,               ///< 1 / (|E / (I_B + epsilon)| + epsilon)
  kApproximate,          ///< 1 / (|E / (m_n + 1e-6)| + epsilon)
  kApproximateBaseline,  ///< 1 / (|m_n / (E + 1e-6)| + epsilon)
};

/// Makes the weights, divides them by their mean and multiplies them by `base` (of the shape of the
/// arrays), if it is not null.
void reweight(BasicArrays& arrays, const BasicModel& model, Reweighting form, double epsilon,
              const Block<float>* base, const ParallelFor& parallel_for);

/// R = I and a multiplier of zero: E = 0.
void restart(BasicArrays& arrays, const ParallelFor& parallel_for);

}  // namespace flatfield::methods
