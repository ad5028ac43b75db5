#include "flatfield/methods/basic_options.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

void check_number(const char* name, double value, double lo, bool lo_allowed = true) {
  if (std::isfinite(value) && (lo_allowed ? value >= lo : value > lo)) return;
  throw Error(ErrorCode::kUsage, fmt::format("{}: expected a number {} {}, found {}", name,
                                             lo_allowed ? ">=" : ">", lo, value));
}

void check_integer(const char* name, std::int64_t value, std::int64_t lo,
                   std::int64_t hi = std::numeric_limits<std::int32_t>::max()) {
  if (value >= lo && value <= hi) return;
  throw Error(ErrorCode::kUsage,
              fmt::format("{}: expected an integer from {} to {}, found {}", name, lo, hi, value));
}

}  // namespace

void check(const BasicOptions& options) {
  check_number("smoothness_flatfield", options.smoothness_flatfield, 0.0);
  check_number("smoothness_darkfield", options.smoothness_darkfield, 0.0);
  check_number("sparse_cost_darkfield", options.sparse_cost_darkfield, 0.0);
  check_number("epsilon", options.epsilon, 0.0, false);
  check_integer("max_iterations", options.max_iterations, 1);
  check_integer("max_reweight_iterations", options.max_reweight_iterations, 1);
  check_integer("max_reweight_iterations_baseline", options.max_reweight_iterations_baseline, 0);
  check_number("rho", options.rho, 1.0);
  check_number("mu_coef", options.mu_coef, 0.0, false);
  check_number("max_mu_coef", options.max_mu_coef, 1.0);
  check_number("optimization_tol", options.optimization_tol, 0.0);
  check_number("optimization_tol_diff", options.optimization_tol_diff, 0.0);
  check_number("reweighting_tol", options.reweighting_tol, 0.0);
  check_integer("autosegment_margin", options.autosegment_margin, 0, 32766);
  if (!options.working_size) return;
  check_integer("working_size", options.working_size->y, 1, 65536);
  check_integer("working_size", options.working_size->x, 1, 65536);
}

}  // namespace flatfield::methods
