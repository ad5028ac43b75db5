#include "flatfield/methods/basic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "flatfield/core/error.h"
#include "flatfield/methods/pixel_vectors.h"
#include "flatfield/numerics/linear_resize.h"

namespace flatfield::methods {
namespace {

using Vector = std::vector<double>;

FrameOrder fitting_order(const BasicOptions& options) {
  return options.sort_intensity ? FrameOrder::kSortedPerPixel : FrameOrder::kAsGiven;
}

/// Checked before anything is made from them.
const BasicOptions& checked(const BasicOptions& options, const FrameStack& images) {
  check(options);
  if (options.fitting_mode == BasicMode::kApproximate && images.shape.z != 1)
    throw Error(ErrorCode::kUsage, "BaSiC: the approximate mode takes planes, not volumes",
                "fitting_mode");
  return options;
}

std::vector<float> to_float(const Vector& values) { return {values.begin(), values.end()}; }

Block<float> to_block(const Vector& values, const Extent3& shape) {
  Block<float> out(shape);
  std::transform(values.begin(), values.end(), out.data(),
                 [](double value) { return static_cast<float>(value); });
  return out;
}

/// Sum of |a - b| over the sum of |b|, or over `least` if that is more.
double relative_change(const Vector& a, const Vector& b, double least) {
  double change = 0.0;
  double size = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    change += std::abs(a[i] - b[i]);
    size += std::abs(b[i]);
  }
  return change / std::max(size, least);
}

/// 1 / (|D_R| + epsilon), with mean 1.
Vector weights_of_darkfield(const Vector& darkfield, double epsilon) {
  Vector weights(darkfield.size());
  std::transform(darkfield.begin(), darkfield.end(), weights.begin(),
                 [&](double value) { return 1.0 / (std::abs(value) + epsilon); });
  const double mean = mean_of(weights);
  for (double& weight : weights) weight /= mean;
  return weights;
}

/// Every plane of a working image at the size of the frames.
Block<float> resized_planes(const Block<float>& working, const Extent3& shape,
                            const ParallelFor& parallel_for) {
  Block<float> out(shape);
  for (std::int64_t z = 0; z < shape.z; ++z)
    copy_block<float>(numerics::resize_linear(working.plane(z), shape.y, shape.x,
                                              numerics::LinearResize::kSkimage, parallel_for)
                          .view(),
                      out.plane(z));
  return out;
}

void warn_of_limits(const std::vector<BasicSolve>& solves, const char* what, std::int64_t limit,
                    BasicFit& fit) {
  std::string list;
  for (std::size_t i = 0; i < solves.size(); ++i)
    if (!solves[i].converged)
      list += fmt::format("{}{} (relative residual {:.2g})", list.empty() ? "" : ", ", i + 1,
                          solves[i].residual);
  if (list.empty()) return;
  fit.warnings.push_back(fmt::format("BaSiC: stopped at {} iterations: {} {}", limit, what, list));
}

}  // namespace

/// The fields at working size: the image model is baseline * flatfield + darkfield.
struct BasicFitter::Solution {
  Vector flatfield;  ///< mean 1
  Vector darkfield;  ///< D_R + D_Z; approximate: D_R + D_Z (1 + S)
  Vector baseline;
};

BasicFitter::Solution BasicFitter::normalised(const BasicVariables& variables, BasicMode mode) {
  const double mean = mean_of(variables.flatfield);
  Solution solution{variables.flatfield, variables.darkfield, variables.baseline};
  for (std::size_t i = 0; i < solution.flatfield.size(); ++i) {
    solution.flatfield[i] /= mean;
    solution.darkfield[i] +=
        variables.offset * (mode == BasicMode::kLadmap ? 1.0 : 1.0 + variables.flatfield[i]);
  }
  for (double& b : solution.baseline) b *= mean;
  return solution;
}

BasicFitter::BasicFitter(const FrameStack& images, const std::optional<FrameStack>& weights,
                         const BasicOptions& options, const ParallelFor& parallel_for)
    : images_(images),
      weights_(weights),
      options_(checked(options, images)),
      parallel_for_(parallel_for),
      stack_(make_working_stack(images, weights, options, fitting_order(options), parallel_for)),
      order_(fitting_order(options)),
      statistics_(measure_stack(stack_, parallel_for)),
      dct_(stack_.shape) {
  const Extent3 shape = stack_.images.shape();
  arrays_.images = std::move(stack_.images);
  arrays_.explained = Block<float>(shape);
  arrays_.multiplier = Block<float>(shape);
  arrays_.weights = Block<float>(shape);
}

void BasicFitter::reorder(FrameOrder order) {
  if (order == order_) return;
  // Made anew from the input, because to keep both orders would take another array.
  arrays_.images = Block<float>();
  stack_.weights.reset();
  WorkingStack stack = make_working_stack(images_, weights_, options_, order, parallel_for_);
  arrays_.images = std::move(stack.images);
  stack_.weights = std::move(stack.weights);
  order_ = order;
}

std::optional<BasicFit> BasicFitter::fit(const BasicSmoothness& smoothness, BasicOutput output) {
  BasicOptions options = options_;
  options.smoothness_flatfield = smoothness.flatfield;
  options.smoothness_darkfield = smoothness.darkfield;
  options.sparse_cost_darkfield = smoothness.sparse_cost_darkfield;
  check(options);
  if (statistics_.norm == 0.0) return std::nullopt;
  const BasicProblem problem(stack_, statistics_, dct_, options, parallel_for_);

  reorder(fitting_order(options_));
  BasicFit fit;
  fit.warnings = stack_.warnings;
  Solution solution;
  if (!reweighted_solves(problem, solution, fit)) return std::nullopt;
  if (output == BasicOutput::kFieldsAndBaseline) {
    if (options_.sort_intensity) fit_baseline(problem, solution, fit);
    fit.baseline = to_float(solution.baseline);
  }
  const Block<float> flatfield = to_block(solution.flatfield, stack_.shape);
  fit.working_darkfield = to_block(solution.darkfield, stack_.shape);
  fit.flatfield = resized_planes(flatfield, images_.shape, parallel_for_);
  fit.darkfield = resized_planes(fit.working_darkfield, images_.shape, parallel_for_);
  return fit;
}

bool BasicFitter::reweighted_solves(const BasicProblem& problem, Solution& solution,
                                    BasicFit& fit) {
  const BasicOptions& options = problem.options;
  const bool ladmap = options.fitting_mode == BasicMode::kLadmap;
  const Block<float>* base_weights = stack_.weights ? &*stack_.weights : nullptr;
  if (base_weights != nullptr)
    copy_block<float>(base_weights->view(), arrays_.weights.view());
  else
    std::fill_n(arrays_.weights.data(), arrays_.weights.size(), 1.0F);
  arrays_.weight_factor = 1.0;
  Vector darkfield_weights(static_cast<std::size_t>(stack_.pixels), 1.0);

  for (std::int64_t i = 0; i < options.max_reweight_iterations && !fit.reweight_converged; ++i) {
    BasicVariables variables;
    fit.solves.push_back(ladmap ? solve_ladmap(problem, darkfield_weights, arrays_, variables)
                                : solve_approximate(problem, arrays_, variables));
    if (*std::max_element(variables.flatfield.begin(), variables.flatfield.end()) == 0.0)
      return false;
    fit.working_flatfield = to_block(variables.flatfield, stack_.shape);
    fit.working_baseline = to_float(variables.baseline);

    const Solution before = std::move(solution);
    solution = normalised(variables, options.fitting_mode);
    darkfield_weights = weights_of_darkfield(variables.darkfield, options.epsilon);
    reweight(arrays_, {solution.flatfield, solution.baseline, solution.darkfield},
             ladmap ? Reweighting::kLadmap : Reweighting::kApproximate, options.epsilon,
             base_weights, parallel_for_);

    if (i == 0) continue;
    fit.reweight_score = relative_change(solution.flatfield, before.flatfield, 0.0);
    if (options.get_darkfield)
      fit.reweight_score =
          std::max(fit.reweight_score, relative_change(solution.darkfield, before.darkfield, 1.0));
    fit.reweight_converged = fit.reweight_score <= options.reweighting_tol;
  }
  warn_of_limits(fit.solves, "solve", options.max_iterations, fit);
  if (!fit.reweight_converged)
    fit.warnings.push_back(fmt::format("BaSiC: the reweighting did not converge in {} solves",
                                       options.max_reweight_iterations));
  return true;
}

void BasicFitter::fit_baseline(const BasicProblem& problem, Solution& solution, BasicFit& fit) {
  const bool ladmap = problem.options.fitting_mode == BasicMode::kLadmap;
  reorder(FrameOrder::kAsGiven);
  // The first solve uses the last weights of the sorted frames, as BaSiCPy does.
  for (std::int64_t i = 0; i < problem.options.max_reweight_iterations_baseline; ++i) {
    fit.baseline_solves.push_back(solve_baseline(problem, solution.flatfield, solution.darkfield,
                                                 arrays_, solution.baseline));
    reweight(arrays_, {solution.flatfield, solution.baseline, solution.darkfield},
             ladmap ? Reweighting::kLadmap : Reweighting::kApproximateBaseline,
             problem.options.epsilon, stack_.weights ? &*stack_.weights : nullptr, parallel_for_);
  }
  warn_of_limits(fit.baseline_solves, "baseline solve", problem.options.max_iterations, fit);
}

BasicFit fit_basic(const FrameStack& images, const std::optional<FrameStack>& weights,
                   const BasicOptions& options, BasicOutput output,
                   const ParallelFor& parallel_for) {
  BasicFitter fitter(images, weights, options, parallel_for);
  std::optional<BasicFit> fit = fitter.fit(smoothness_of(options), output);
  if (!fit)
    throw Error(ErrorCode::kBadInput, "BaSiC: the estimated flatfield is zero", "",
                "are all images dark? Otherwise make smoothness_flatfield smaller");
  return std::move(*fit);
}

}  // namespace flatfield::methods
