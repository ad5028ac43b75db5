#include "flatfield/methods/basic_autotune.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <random>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kFlatfieldValues = 15;
constexpr int kAxes = 3;

/// A point of the grid: indices of the smoothness of the flatfield and the darkfield, and of the
/// sparse cost.
using Point = std::array<int, kAxes>;
constexpr Point kGrid{kFlatfieldValues, kFlatfieldValues + 1, kFlatfieldValues + 1};
/// Where BaSiCPy starts: 0.1 and, with a darkfield, 1e-3 twice.
constexpr Point kStart{7, 1, 1};

double grid_value(int i) { return std::pow(10.0, -3.0 + 4.0 * i / (kFlatfieldValues - 1)); }
double grid_value_or_zero(int i) { return i == 0 ? 0.0 : grid_value(i - 1); }

bool is_one_everywhere(const Block<float>& flatfield) {
  constexpr double kTolerance = 1e-8 + 1e-5;  // numpy.allclose
  return std::all_of(flatfield.span().begin(), flatfield.span().end(),
                     [](float v) { return std::abs(static_cast<double>(v) - 1.0) <= kTolerance; });
}

/// The cost of the points of the grid, each evaluated once.
class Search {
 public:
  Search(const FrameStack& images, const std::optional<FrameStack>& weights,
         const BasicOptions& options, const BasicCostOptions& cost, const ParallelFor& parallel_for)
      : images_(images),
        weights_(weights),
        options_(options),
        cost_(cost),
        parallel_for_(parallel_for),
        fitter_(images, weights, options, parallel_for) {}

  double cost_at(const Point& point) {
    const auto known = costs_.find(point);
    if (known != costs_.end()) return known->second;
    const BasicCandidate candidate = evaluate(point);
    result_.candidates.push_back(candidate);
    if (candidate.cost.cost < best_cost_) {
      best_cost_ = candidate.cost.cost;
      best_point_ = point;
      result_.best = candidate.smoothness;
    }
    return costs_[point] = candidate.cost.cost;
  }

  [[nodiscard]] std::int64_t evaluations() const {
    return static_cast<std::int64_t>(result_.candidates.size());
  }
  [[nodiscard]] const Point& best_point() const { return best_point_; }
  [[nodiscard]] double best_cost() const { return best_cost_; }

  [[nodiscard]] BasicAutotune result() && {
    if (best_cost_ == kInfinity)
      throw Error(ErrorCode::kBadInput,
                  "BaSiC: autotune found no smoothness that gives a flatfield");
    return std::move(result_);
  }

 private:
  [[nodiscard]] BasicSmoothness smoothness_at(const Point& point) const {
    if (!options_.get_darkfield)
      return {grid_value(point[0]), options_.smoothness_darkfield, options_.sparse_cost_darkfield};
    return {grid_value(point[0]), grid_value_or_zero(point[1]), grid_value_or_zero(point[2])};
  }

  BasicCandidate evaluate(const Point& point) {
    BasicCandidate candidate{smoothness_at(point), {0.0, 0.0, kInfinity}};
    const std::optional<BasicFit> fit = fitter_.fit(candidate.smoothness, BasicOutput::kFields);
    if (!fit) return candidate;
    if (!range_)
      range_ = entropy_range(images_, fit->flatfield.view(), fit->darkfield.view(), cost_,
                             parallel_for_);
    if (is_one_everywhere(fit->flatfield)) return candidate;
    candidate.cost = measure_cost(images_, weights_, fit->flatfield.view(), fit->darkfield.view(),
                                  *range_, cost_, parallel_for_);
    if (std::isnan(candidate.cost.cost)) candidate.cost.cost = kInfinity;
    return candidate;
  }

  FrameStack images_;
  std::optional<FrameStack> weights_;
  BasicOptions options_;
  BasicCostOptions cost_;
  ParallelFor parallel_for_;
  BasicFitter fitter_;
  std::optional<double> range_;  ///< of all histograms, by the first point that gives a flatfield
  std::map<Point, double> costs_;
  BasicAutotune result_;
  Point best_point_ = kStart;
  double best_cost_ = kInfinity;
};

/// A sample in which every axis is covered evenly.
std::vector<Point> even_sample(int count, std::mt19937_64& random) {
  std::vector<Point> points(static_cast<std::size_t>(count));
  for (std::size_t axis = 0; axis < kAxes; ++axis) {
    for (int i = 0; i < count; ++i)
      points[static_cast<std::size_t>(i)][axis] = i * (kGrid[axis] - 1) / (count - 1);
    // Not std::shuffle, which may differ between libraries.
    for (std::size_t i = points.size() - 1; i > 0; --i)
      std::swap(points[i][axis], points[random() % (i + 1)][axis]);
  }
  return points;
}

void search_with_darkfield(const BasicAutotuneOptions& autotune, Search& search) {
  constexpr int kSample = 16;
  std::mt19937_64 random(autotune.seed);
  const auto exhausted = [&] { return search.evaluations() >= autotune.max_evaluations; };
  for (const Point& point : even_sample(kSample, random))
    if (!exhausted()) search.cost_at(point);
  for (const int step : {4, 2, 1})
    for (bool better = true; better && !exhausted();) {
      const Point centre = search.best_point();
      const double cost = search.best_cost();
      for (std::size_t axis = 0; axis < kAxes; ++axis)
        for (const int sign : {-1, 1}) {
          Point point = centre;
          point[axis] = std::clamp(point[axis] + sign * step, 0, kGrid[axis] - 1);
          if (!exhausted()) search.cost_at(point);
        }
      better = search.best_cost() < cost;
    }
}

}  // namespace

BasicAutotune autotune_basic(const FrameStack& images, const std::optional<FrameStack>& weights,
                             const BasicOptions& options, const BasicAutotuneOptions& autotune,
                             const ParallelFor& parallel_for) {
  if (autotune.max_evaluations < 1 || autotune.cost.histogram_bins < 1)
    throw Error(ErrorCode::kUsage, "BaSiC: autotune needs at least one evaluation and one bin");
  if (images.shape.z != 1)
    throw Error(ErrorCode::kUsage, "BaSiC: autotune takes planes, not volumes");
  Search search(images, weights, options, autotune.cost, parallel_for);
  search.cost_at(kStart);
  if (options.get_darkfield)
    search_with_darkfield(autotune, search);
  else
    for (int i = 0; i < kFlatfieldValues; ++i) search.cost_at({i, kStart[1], kStart[2]});
  return std::move(search).result();
}

}  // namespace flatfield::methods
