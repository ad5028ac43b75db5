#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/methods/basic_options.h"
#include "flatfield/methods/basic_sweeps.h"
#include "flatfield/methods/working_stack.h"
#include "flatfield/numerics/dct.h"

namespace flatfield::methods {

/// How one inner solve ended.
struct BasicSolve {
  std::int64_t iterations = 0;
  double residual = 0.0;  ///< norm of I - I_B - E relative to that of I
  double change =
      0.0;  ///< largest of the updates, as optimization_tol_diff limits it; 0: approximate
  bool converged = false;  ///< stopped before max_iterations
};

/// The unknowns of the image model I_n = B_n S + D_R + D_Z + E_n, but for E.
struct BasicVariables {
  std::vector<double> flatfield;  ///< S, carries the scale of the images during a solve
  std::vector<double> baseline;   ///< B
  std::vector<double> darkfield;  ///< D_R
  double offset = 0.0;            ///< D_Z
};

/// What stays the same in all solves of a fit (docs/methods.md 8.1).
struct BasicProblem {
  /// `dct` is planned for the frames of `stack`; all arguments must outlive the problem.
  BasicProblem(const WorkingStack& stack, const StackStatistics& statistics,
               const numerics::Dct& dct, const BasicOptions& options,
               const ParallelFor& parallel_for);

  const BasicOptions& options;
  const StackStatistics& statistics;
  const numerics::Dct& dct;
  const ParallelFor& parallel_for;
  double frames;
  double pixels;
  double smoothness_flatfield;   ///< lambda_S; approximate: rescaled to the images
  double smoothness_darkfield;   ///< lambda_D
  double sparse_cost_darkfield;  ///< lambda_sp
  double first_mu;
  double largest_mu;
};

// Each function starts anew from the images in `arrays` and the weights there, and leaves E and the
// multiplier behind in `arrays`.

/// One solve of docs/methods.md 8.2; `darkfield_weights` is W_D, one per pixel.
[[nodiscard]] BasicSolve solve_ladmap(const BasicProblem& problem,
                                      std::span<const double> darkfield_weights,
                                      BasicArrays& arrays, BasicVariables& variables);

/// One solve of docs/methods.md 8.4.
[[nodiscard]] BasicSolve solve_approximate(const BasicProblem& problem, BasicArrays& arrays,
                                           BasicVariables& variables);

/// One solve for the baseline alone (docs/methods.md 8.5), with a flatfield and darkfield that stay.
[[nodiscard]] BasicSolve solve_baseline(const BasicProblem& problem,
                                        std::span<const double> flatfield,
                                        std::span<const double> darkfield, BasicArrays& arrays,
                                        std::vector<double>& baseline);

}  // namespace flatfield::methods
