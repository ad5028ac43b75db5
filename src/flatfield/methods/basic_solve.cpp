#include "flatfield/methods/basic_solve.h"

#include <algorithm>
#include <cmath>

#include "flatfield/methods/pixel_vectors.h"

namespace flatfield::methods {
namespace {

using Vector = std::vector<double>;

/// Makes `values` smooth: IDCT(shrink(DCT(values), threshold)).
void shrink_spectrum(const BasicProblem& problem, double threshold, Vector& values) {
  problem.dct.forward(values, problem.parallel_for);
  for_each_pixel(values.size(), problem.parallel_for,
                 [&](std::size_t i) { values[i] = shrink(values[i], threshold); });
  problem.dct.inverse(values, problem.parallel_for);
}

/// mu, the count of iterations and the test that ends a solve.
class Iterations {
 public:
  explicit Iterations(const BasicProblem& problem) : problem_(problem), mu_(problem.first_mu) {}

  [[nodiscard]] double mu() const { return mu_; }
  [[nodiscard]] double next_mu() const {
    return std::min(problem_.options.rho * mu_, problem_.largest_mu);
  }
  /// Ends an iteration; true if another one is needed.
  bool next(double misfit_squared, double change) {
    const BasicOptions& options = problem_.options;
    mu_ = next_mu();
    ++solve_.iterations;
    solve_.residual = std::sqrt(misfit_squared) / problem_.statistics.norm;
    solve_.change = change;
    solve_.converged = solve_.iterations < options.max_iterations;
    return solve_.converged && (solve_.residual > options.optimization_tol ||
                                solve_.change > options.optimization_tol_diff);
  }
  [[nodiscard]] const BasicSolve& result() const { return solve_; }

 private:
  const BasicProblem& problem_;
  double mu_;
  BasicSolve solve_;
};

/// D = D_R + D_Z.
void add_offset(const BasicProblem& problem, const BasicVariables& variables, Vector& darkfield) {
  for_each_pixel(darkfield.size(), problem.parallel_for,
                 [&](std::size_t i) { darkfield[i] = variables.darkfield[i] + variables.offset; });
}

void start(const BasicProblem& problem, BasicArrays& arrays, BasicVariables& variables) {
  variables.baseline.assign(static_cast<std::size_t>(arrays.frames()), 1.0);
  variables.darkfield.assign(static_cast<std::size_t>(arrays.pixels()), 0.0);
  variables.offset = 0.0;
  restart(arrays, problem.parallel_for);
}

/// Steps 2 and 3 of docs/methods.md 8.2: moves the flatfield along the gradient, smooths it and keeps it
/// from becoming negative. Returns the norm of its change.
double update_flatfield(const BasicProblem& problem, const Vector& gradient, double eta, double mu,
                        Vector& flatfield) {
  Vector next(flatfield.size());
  for_each_pixel(next.size(), problem.parallel_for,
                 [&](std::size_t i) { next[i] = flatfield[i] + gradient[i] / eta; });
  shrink_spectrum(problem, problem.smoothness_flatfield / (eta * mu), next);
  const double smallest = *std::min_element(next.begin(), next.end());
  const double shift = smallest < 0.0 ? smallest : 0.0;
  const double change_squared =
      sum_over_pixels(next.size(), problem.parallel_for, [&](std::size_t i) {
        next[i] -= shift;
        const double change = next[i] - flatfield[i];
        return change * change;
      });
  flatfield.swap(next);
  return std::sqrt(change_squared);
}

/// max(projections / sum of S^2, 0), or what the baseline was if the flatfield is zero.
Vector next_baseline(const BasicProblem& problem, std::span<const double> flatfield,
                     const Vector& projections, const Vector& baseline) {
  const double squares =
      sum_over_pixels(flatfield.size(), problem.parallel_for,
                      [&](std::size_t i) { return flatfield[i] * flatfield[i]; });
  Vector next = baseline;
  for (std::size_t n = 0; n < next.size(); ++n) {
    if (squares > 0.0) next[n] = projections[n] / squares;
    next[n] = std::max(next[n], 0.0);
  }
  return next;
}

/// Steps 6 and 7 of docs/methods.md 8.2. Returns the largest change as the stopping test weighs it.
double update_darkfield(const BasicProblem& problem, const ShrinkSums& sums,
                        std::span<const double> weights, double mu, BasicVariables& variables) {
  const double frames = problem.frames;
  const double baseline_sum = sum_of(variables.baseline);
  Vector& darkfield = variables.darkfield;
  // The sums over the frames of I - E - B S - D_R, and of the multiplier.
  const auto unexplained = [&](std::size_t i) {
    return sums.explained[i] - baseline_sum * variables.flatfield[i] - frames * darkfield[i];
  };
  const double total = sum_over_pixels(darkfield.size(), problem.parallel_for, [&](std::size_t i) {
    return unexplained(i) + sums.multiplier[i] / (2.0 * mu);
  });
  const double offset =
      std::min(std::max(total / (frames * problem.pixels), 0.0), problem.statistics.minimum);
  const double offset_change = offset - variables.offset;
  variables.offset = offset;

  const double eta = 1.02 * frames;
  Vector next(darkfield.size());
  for_each_pixel(next.size(), problem.parallel_for, [&](std::size_t i) {
    next[i] = darkfield[i] + (unexplained(i) - frames * offset + sums.multiplier[i] / mu) / eta;
  });
  shrink_spectrum(problem, problem.smoothness_darkfield / (eta * mu), next);
  const double change_squared =
      sum_over_pixels(next.size(), problem.parallel_for, [&](std::size_t i) {
        next[i] = shrink(next[i], problem.sparse_cost_darkfield * weights[i] / (eta * mu));
        const double change = next[i] - darkfield[i];
        return change * change;
      });
  darkfield.swap(next);
  return std::max(std::sqrt(change_squared * eta), offset_change * offset_change);
}

/// Steps 5 to 7 of docs/methods.md 8.4: D_Z from how frames differ inside and outside of the flatfield's bright
/// part, D_R from the frames of low baseline.
void update_approximate_darkfield(const BasicProblem& problem, const BasicArrays& arrays,
                                  const Vector& frame_sums, double mu, BasicVariables& variables) {
  const Vector& flatfield = variables.flatfield;
  const double mean_flatfield = mean_of(flatfield);
  constexpr double kMargin = 1e-6;
  std::vector<std::uint8_t> inside(flatfield.size());
  std::vector<std::uint8_t> outside(flatfield.size());
  double inside_count = 0.0;
  double outside_count = 0.0;
  for (std::size_t i = 0; i < flatfield.size(); ++i) {
    inside[i] = flatfield[i] > mean_flatfield * (1.0 - kMargin) ? 1 : 0;
    outside[i] = flatfield[i] < mean_flatfield * (1.0 + kMargin) ? 1 : 0;
    inside_count += inside[i];
    outside_count += outside[i];
  }
  const Vector inside_sums = sum_of_pixels(arrays, inside, problem.parallel_for);
  const Vector outside_sums = sum_of_pixels(arrays, outside, problem.parallel_for);
  const double mean_explained = sum_of(frame_sums) / (problem.frames * problem.pixels);

  std::vector<std::uint8_t> low(variables.baseline.size());
  double b2 = 0.0, b1 = 0.0, a1 = 0.0, ba = 0.0, count = 0.0;
  for (std::size_t n = 0; n < low.size(); ++n) {
    const double b = variables.baseline[n];
    low[n] = b < 1.0 ? 1 : 0;
    if (low[n] == 0) continue;
    // The number of frames in the denominators is the original's.
    const double a = (inside_sums[n] / (problem.frames * inside_count) -
                      outside_sums[n] / (problem.frames * outside_count)) /
                     mean_explained;
    b2 += b * b;
    b1 += b;
    count += 1.0;
    if (std::isnan(a)) continue;
    a1 += a;
    ba += b * a;
  }
  const double denominator = b1 * a1 - ba * count + 1e-6;
  const double most = problem.statistics.minimum / mean_flatfield;
  variables.offset = std::min(std::max((b2 * a1 - b1 * ba) / denominator, 0.0), most);
  if (count == 0.0) return;  // all frames alike: nothing says what is dark

  constexpr double kEnt2 = 10.0;
  Vector& darkfield = variables.darkfield;
  const Vector low_sums = sum_of_frames(arrays, low, problem.parallel_for);
  for_each_pixel(darkfield.size(), problem.parallel_for, [&](std::size_t i) {
    darkfield[i] = low_sums[i] / count - b1 / count * flatfield[i];
  });
  const double mean_darkfield = mean_of(darkfield);
  const auto tilt = [&](std::size_t i) {
    return variables.offset * (mean_flatfield - flatfield[i]);
  };
  for_each_pixel(darkfield.size(), problem.parallel_for,
                 [&](std::size_t i) { darkfield[i] -= mean_darkfield + tilt(i); });
  shrink_spectrum(problem, problem.smoothness_darkfield / (kEnt2 * mu), darkfield);
  for_each_pixel(darkfield.size(), problem.parallel_for, [&](std::size_t i) {
    darkfield[i] = shrink(darkfield[i], problem.sparse_cost_darkfield / (kEnt2 * mu)) + tilt(i);
  });
}

}  // namespace

BasicProblem::BasicProblem(const WorkingStack& stack, const StackStatistics& stack_statistics,
                           const numerics::Dct& planned_dct, const BasicOptions& basic_options,
                           const ParallelFor& threads)
    : options(basic_options),
      statistics(stack_statistics),
      dct(planned_dct),
      parallel_for(threads),
      frames(static_cast<double>(stack.frames)),
      pixels(static_cast<double>(stack.pixels)),
      smoothness_flatfield(basic_options.smoothness_flatfield),
      smoothness_darkfield(basic_options.smoothness_darkfield),
      sparse_cost_darkfield(basic_options.sparse_cost_darkfield),
      first_mu(basic_options.mu_coef / stack_statistics.singular_value) {
  if (options.fitting_mode == BasicMode::kLadmap) {
    first_mu /= frames * pixels;
  } else {
    Vector relative = statistics.sum;
    const double mean = mean_of(relative);
    for (double& value : relative) value /= mean;
    dct.forward(relative, parallel_for);
    double spectrum = 0.0;
    for (const double value : relative) spectrum += std::abs(value);
    smoothness_flatfield = options.smoothness_flatfield * spectrum / 800.0;
    smoothness_darkfield = smoothness_flatfield * options.smoothness_darkfield / 2.5;
    sparse_cost_darkfield = smoothness_darkfield * options.sparse_cost_darkfield * 100.0;
  }
  largest_mu = first_mu * options.max_mu_coef;
}

BasicSolve solve_ladmap(const BasicProblem& problem, std::span<const double> darkfield_weights,
                        BasicArrays& arrays, BasicVariables& variables) {
  start(problem, arrays, variables);
  variables.flatfield = problem.statistics.median;
  Vector darkfield = variables.darkfield;
  // The sum over n of B_n (F + multiplier / mu), where F = I - S and the multiplier is zero.
  Vector gradient(darkfield.size());
  for_each_pixel(gradient.size(), problem.parallel_for, [&](std::size_t i) {
    gradient[i] = problem.statistics.sum[i] - problem.frames * variables.flatfield[i];
  });

  Iterations iterations(problem);
  double misfit_squared = 0.0;
  double change = 0.0;
  do {
    const double mu = iterations.mu();
    const double eta = 1.02 * sum_of_squares(variables.baseline) + 0.01;
    const double flatfield_change =
        update_flatfield(problem, gradient, eta, mu, variables.flatfield);
    const ShrinkSums sums = shrink_residual(
        arrays, {variables.flatfield, variables.baseline, darkfield}, mu,
        1.0 / (mu * problem.frames), problem.options.get_darkfield, problem.parallel_for);

    Vector baseline =
        next_baseline(problem, variables.flatfield, sums.projections, variables.baseline);
    const double scale = mean_of(baseline);
    if (scale > 0.0) {
      for (double& b : baseline) b /= scale;
      for_each_pixel(variables.flatfield.size(), problem.parallel_for,
                     [&](std::size_t i) { variables.flatfield[i] *= scale; });
    }
    change = std::max({flatfield_change * std::sqrt(eta), std::sqrt(sums.change_squared),
                       distance(baseline, variables.baseline)});
    variables.baseline = std::move(baseline);
    if (problem.options.get_darkfield) {
      change = std::max(change, update_darkfield(problem, sums, darkfield_weights, mu, variables));
      add_offset(problem, variables, darkfield);
    }

    MultiplierSums next =
        update_multiplier(arrays, {variables.flatfield, variables.baseline, darkfield}, mu,
                          iterations.next_mu(), true, problem.parallel_for);
    gradient.swap(next.gradient);
    misfit_squared = next.misfit_squared;
  } while (iterations.next(misfit_squared, change / problem.statistics.norm));
  return iterations.result();
}

BasicSolve solve_approximate(const BasicProblem& problem, BasicArrays& arrays,
                             BasicVariables& variables) {
  start(problem, arrays, variables);
  variables.flatfield.assign(static_cast<std::size_t>(arrays.pixels()), 0.0);
  Vector darkfield = variables.darkfield;
  ApproximateSums sums;
  sums.explained = problem.statistics.sum;
  sums.multiplier.assign(darkfield.size(), 0.0);

  Iterations iterations(problem);
  do {
    const double mu = iterations.mu();
    Vector& flatfield = variables.flatfield;
    const double mean_baseline = mean_of(variables.baseline);
    for_each_pixel(flatfield.size(), problem.parallel_for, [&](std::size_t i) {
      flatfield[i] += (sums.explained[i] + sums.multiplier[i] / mu) / problem.frames -
                      mean_baseline * flatfield[i] - darkfield[i];
    });
    shrink_spectrum(problem, problem.smoothness_flatfield / mu, flatfield);
    sums = shrink_and_update(arrays, {flatfield, variables.baseline, darkfield}, mu, 1.0 / mu,
                             problem.parallel_for);
    const double mean_frame = mean_of(sums.frame_sums);
    for (std::size_t n = 0; n < variables.baseline.size(); ++n)
      variables.baseline[n] = std::max(sums.frame_sums[n] / mean_frame, 0.0);
    if (problem.options.get_darkfield) {
      update_approximate_darkfield(problem, arrays, sums.frame_sums, mu, variables);
      add_offset(problem, variables, darkfield);
    }
  } while (iterations.next(sums.misfit_squared, 0.0));
  return iterations.result();
}

BasicSolve solve_baseline(const BasicProblem& problem, std::span<const double> flatfield,
                          std::span<const double> darkfield, BasicArrays& arrays,
                          std::vector<double>& baseline) {
  restart(arrays, problem.parallel_for);
  Iterations iterations(problem);
  if (problem.options.fitting_mode == BasicMode::kApproximate) {
    const std::vector<std::uint8_t> every(static_cast<std::size_t>(arrays.pixels()), 1);
    const double mean_darkfield = mean_of(darkfield);
    baseline = sum_of_pixels(arrays, every, problem.parallel_for);
    for (double& b : baseline) b /= problem.pixels;
    ApproximateSums sums;
    do {
      sums = shrink_and_update(arrays, {flatfield, baseline, darkfield}, iterations.mu(),
                               1.0 / iterations.mu(), problem.parallel_for);
      for (std::size_t n = 0; n < baseline.size(); ++n)
        baseline[n] = std::max(sums.frame_sums[n] / problem.pixels - mean_darkfield, 0.0);
    } while (iterations.next(sums.misfit_squared, 0.0));
    return iterations.result();
  }

  baseline.assign(static_cast<std::size_t>(arrays.frames()), 1.0);
  double misfit_squared = 0.0;
  double change = 0.0;
  do {
    const double mu = iterations.mu();
    const ShrinkSums sums =
        shrink_residual(arrays, {flatfield, baseline, darkfield}, mu, 1.0 / (mu * problem.frames),
                        false, problem.parallel_for);
    Vector next = next_baseline(problem, flatfield, sums.projections, baseline);
    change = std::max(std::sqrt(sums.change_squared), distance(next, baseline));
    baseline.swap(next);
    misfit_squared = update_multiplier(arrays, {flatfield, baseline, darkfield}, mu,
                                       iterations.next_mu(), false, problem.parallel_for)
                         .misfit_squared;
  } while (iterations.next(misfit_squared, change / problem.statistics.norm));
  return iterations.result();
}

}  // namespace flatfield::methods
