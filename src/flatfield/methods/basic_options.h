#pragma once

#include <cstdint>
#include <optional>

#include "flatfield/numerics/linear_resize.h"

namespace flatfield::methods {

/// How BaSiC is solved: by the linearised alternating direction method (the default of BaSiCPy), or
/// as the first, MATLAB, version did it.
enum class BasicMode { kLadmap, kApproximate };

/// Size of the frames that the fit works on; the aspect ratio need not be kept.
struct WorkingSize {
  std::int64_t y = 128;
  std::int64_t x = 128;
  friend bool operator==(const WorkingSize&, const WorkingSize&) = default;
};

/// Parameters of BaSiC with the names and defaults of BaSiCPy 1.2.0; docs/methods.md 8 has the
/// equations that they stand in.
///
/// Left out of its constructor: `max_workers` (threads are given to each function),
/// `resize_params`, and the callable `autosegment`, which weights replace.
struct BasicOptions {
  BasicMode fitting_mode = BasicMode::kLadmap;
  bool get_darkfield = false;
  double smoothness_flatfield = 1.0;    ///< >= 0, weight of the L1 norm of the flatfield's DCT
  double smoothness_darkfield = 1.0;    ///< >= 0, the same of the darkfield
  double sparse_cost_darkfield = 0.01;  ///< >= 0, weight of the L1 norm of the darkfield
  double epsilon = 0.1;                 ///< > 0, regularises the reweighting
  std::int64_t max_iterations = 500;    ///< >= 1, of one solve
  std::int64_t max_reweight_iterations = 10;  ///< >= 1, solves
  std::int64_t max_reweight_iterations_baseline =
      5;                                ///< >= 0, solves for the baseline; all are run
  double rho = 1.5;                     ///< >= 1, growth of mu per iteration
  double mu_coef = 12.5;                ///< > 0, of the first mu
  double max_mu_coef = 1e7;             ///< >= 1, largest mu as a multiple of the first
  double optimization_tol = 1e-3;       ///< >= 0, a solve stops at this relative residual
  double optimization_tol_diff = 1e-2;  ///< >= 0, and this relative change (ladmap)
  double reweighting_tol = 1e-2;        ///< >= 0, reweighting stops at this relative change
  /// Sort the values of each pixel over the frames, which makes the fit robust against objects that
  /// stay in place; the baseline is then fitted to the frames in their order.
  bool sort_intensity = false;
  std::optional<WorkingSize> working_size = WorkingSize{};  ///< none = the size of the frames
  numerics::LinearResize resize_mode = numerics::LinearResize::kJax;
  /// Fit only pixels below Otsu's threshold (dark ones, as BaSiCPy does it), eroded in each frame.
  bool autosegment = false;
  std::int64_t autosegment_margin = 10;  ///< 0..32766, radius of the erosion in working pixels
};

/// Throws Error(kUsage) that names the first option out of the ranges above.
void check(const BasicOptions& options);

}  // namespace flatfield::methods
