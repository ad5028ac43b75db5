#pragma once

#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/methods/basic_options.h"
#include "flatfield/methods/basic_solve.h"
#include "flatfield/methods/frame_stack.h"

namespace flatfield::methods {

/// What BaSiC finds: frame_n = baseline_n * flatfield + darkfield + residual (Peng et al., "A BaSiC
/// tool for background and shading correction of optical microscopy images", 2017; as
/// BaSiCPy 1.2.0).
struct BasicFit {
  Block<float> flatfield;       ///< of the shape of a frame, mean 1 at working size
  Block<float> darkfield;       ///< of the shape of a frame, in intensity; zeros if not asked for
  std::vector<float> baseline;  ///< of each frame, in intensity; empty if not asked for

  Block<float> working_flatfield;       ///< S of the last solve at working size, in intensity
  Block<float> working_darkfield;       ///< D at working size
  std::vector<float> working_baseline;  ///< B of the last solve, mean 1

  std::vector<BasicSolve> solves;           ///< of the reweighting, in order
  std::vector<BasicSolve> baseline_solves;  ///< of the baseline of sorted frames, in order
  double reweight_score = 0.0;  ///< relative change by the last reweighting; 0 after a single solve
  bool reweight_converged = false;
  std::vector<std::string> warnings;  ///< for people, e.g. which solves did not converge
};

/// What of a fit is needed besides flatfield and darkfield. The baseline of sorted frames costs up
/// to five more solves.
enum class BasicOutput { kFields, kFieldsAndBaseline };

/// Fits BaSiC to a stack of frames. `weights` (any range, of the shape of the images) say how much
/// each pixel counts; they are scaled to 0..1, and weights that are all the same count as ones.
///
/// Memory: four float32 arrays of frames * working pixels (a fifth with weights or autosegment),
/// and about 20 doubles per working pixel. The same bits for any number of threads.
///
/// Agreement with BaSiCPy 1.2.0 (float32): flatfield within 1e-4 (with a darkfield 2e-3) where
/// every solve converges. Throws Error(kUsage) for options out of range, Error(kBadInput) for
/// shapes that differ, values that are not finite, and a flatfield that comes out as zero.
[[nodiscard]] BasicFit fit_basic(const FrameStack& images, const std::optional<FrameStack>& weights,
                                 const BasicOptions& options, BasicOutput output,
                                 const ParallelFor& parallel_for);

/// The options that a BasicFitter can vary.
struct BasicSmoothness {
  double flatfield = 1.0;
  double darkfield = 1.0;
  double sparse_cost_darkfield = 0.01;
  friend bool operator==(const BasicSmoothness&, const BasicSmoothness&) = default;
};
[[nodiscard]] inline BasicSmoothness smoothness_of(const BasicOptions& options) {
  return {options.smoothness_flatfield, options.smoothness_darkfield,
          options.sparse_cost_darkfield};
}

/// fit_basic for several fits of one stack, which is resized and sorted only once. The images and
/// weights must outlive the fitter.
class BasicFitter {
 public:
  /// The smoothness of `options` is not used, but refused where it is out of range. Throws as fit_basic does.
  BasicFitter(const FrameStack& images, const std::optional<FrameStack>& weights,
              const BasicOptions& options, const ParallelFor& parallel_for);

  /// A fit that starts anew. No value if the flatfield comes out as zero.
  [[nodiscard]] std::optional<BasicFit> fit(const BasicSmoothness& smoothness, BasicOutput output);

 private:
  struct Solution;
  static Solution normalised(const BasicVariables& variables, BasicMode mode);
  void reorder(FrameOrder order);
  bool reweighted_solves(const BasicProblem& problem, Solution& solution, BasicFit& fit);
  void fit_baseline(const BasicProblem& problem, Solution& solution, BasicFit& fit);

  FrameStack images_;
  std::optional<FrameStack> weights_;
  BasicOptions options_;
  ParallelFor parallel_for_;
  WorkingStack stack_;  ///< without its images, which are in arrays_
  FrameOrder order_;    ///< of arrays_ and stack_
  StackStatistics statistics_;
  numerics::Dct dct_;
  BasicArrays arrays_;
};

}  // namespace flatfield::methods
