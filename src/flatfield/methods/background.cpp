#include "flatfield/methods/background.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/methods/plane_deviations.h"
#include "flatfield/methods/stream_percentiles.h"
#include "flatfield/numerics/exact_moments.h"
#include "flatfield/numerics/gaussian_block.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

using numerics::ExactMoments;

constexpr double kInitialPercentile = 5.0;
constexpr int kMostRounds = 100;
constexpr double kBrightDeviations = 3.0;
constexpr double kBrightFractionLimit = 0.01;
constexpr double kDroppedShareLimit = 0.0001;

/// A level that is smoothed on the way.
class SmoothedStream : public LevelStream {
 public:
  SmoothedStream(LevelStream& level, double sigma) : level_(level), sigma_{sigma, sigma, sigma} {}
  [[nodiscard]] const Extent3& shape() const override { return level_.shape(); }
  [[nodiscard]] int workers() const override { return level_.workers(); }
  /// Of passes without halo: the voxels of the box are smoothed, those around it are not.
  void visit(const LevelPass& pass, const Visitor& visitor) override {
    level_.visit({numerics::gaussian_reach(sigma_), pass.spare_volumes, pass.planes, pass.wants, pass.change},
                 [&](const LevelBlock& block) {
                   numerics::gaussian_filter_block(block.values, block.inner(), sigma_);
                   visitor(block);
                 });
  }
  [[nodiscard]] const Merge& merge() const override { return level_.merge(); }

 private:
  LevelStream& level_;
  std::array<double, 3> sigma_;
};

/// Calls visit(z, row) for the rows of the block's box; z is a plane of the level.
template <class Visit>
void for_each_row(const LevelBlock& block, Visit visit) {
  const BlockView<float> inner = block.values.sub(block.inner());
  const auto width = static_cast<std::size_t>(inner.shape.x);
  for (std::int64_t z = 0; z < inner.shape.z; ++z)
    for (std::int64_t y = 0; y < inner.shape.y; ++y)
      visit(block.box.origin.z + z, std::span<const float>(inner.row(z, y), width));
}

/// How many values of some planes lie in each of many narrow bins: what can be told from these of medians
/// and of how many values exceed a threshold, without reading the planes again.
class PlaneBins {
 public:
  PlaneBins(LevelStream& smoothed, const std::vector<std::int64_t>& planes,
            const std::vector<ExactMoments>& moments, std::int64_t bytes)
      : planes_(planes) {
    constexpr double kReach = 8.0;  // deviations around a plane's mean that are told apart
    double low = std::numeric_limits<double>::infinity();
    double high = 0.0;
    for (const std::int64_t z : planes) {
      const numerics::Moments& of = moments[static_cast<std::size_t>(z)].moments();
      low = std::min(low, of.mean - kReach * of.deviation);
      high = std::max(high, of.mean + kReach * of.deviation);
    }
    low_ = static_cast<float>(std::max(low, 0.0));
    const std::int64_t fitting =
        bytes / static_cast<std::int64_t>(planes.size() * sizeof(std::uint32_t));
    bins_ = static_cast<std::size_t>(std::clamp<std::int64_t>(fitting, 64, 16384));
    scale_ = static_cast<float>(bins_) / std::max(static_cast<float>(high) - low_, 1e-3F);
    counts_.resize(planes.size() * bins_);
    smoothed.visit({{}, 0, plane_ranges(planes)}, [&](const LevelBlock& block) { add(block); });
    smoothed.merge().sum(counts_);
  }

  /// Bounds of the median of all voxels of the planes that are kept.
  [[nodiscard]] std::pair<double, double> median_bounds(const std::vector<std::size_t>& kept) const {
    std::vector<std::uint64_t> sums(bins_);
    std::uint64_t total = 0;
    for (const std::size_t i : kept)
      for (std::size_t bin = 0; bin < bins_; ++bin) sums[bin] += counts_[i * bins_ + bin];
    for (const std::uint64_t count : sums) total += count;
    const auto bin_of_rank = [&](std::uint64_t rank) {
      std::size_t bin = 0;
      for (std::uint64_t before = sums[0]; before <= rank; before += sums[++bin]) {
      }
      return bin;
    };
    return {least_of(bin_of_rank((total - 1) / 2)), most_of(bin_of_rank(total / 2))};
  }

  /// Bounds of how many voxels of a plane exceed a threshold that lies within bounds.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> above_bounds(
      std::size_t number, std::pair<double, double> threshold) const {
    constexpr float kMost = std::numeric_limits<float>::max();
    const auto narrowed = [](double value) {
      return static_cast<float>(std::clamp(value, -double{kMost}, double{kMost}));
    };
    const std::size_t maybe = bin_of(std::nextafter(narrowed(threshold.first), -kMost));
    const std::size_t sure = bin_of(std::nextafter(narrowed(threshold.second), kMost)) + 1;
    const auto from = [&](std::size_t bin) {
      const auto begin = counts_.begin() + static_cast<std::ptrdiff_t>(number * bins_);
      return std::accumulate(begin + static_cast<std::ptrdiff_t>(bin),
                             begin + static_cast<std::ptrdiff_t>(bins_), std::uint64_t{0});
    };
    return {from(sure), from(maybe)};
  }

 private:
  [[nodiscard]] std::size_t bin_of(float value) const {
    const float scaled = (value - low_) * scale_;
    return scaled >= static_cast<float>(bins_ - 1) ? bins_ - 1
                                                   : static_cast<std::size_t>(std::max(scaled, 0.0F));
  }
  /// Values of a bin lie between these; a bin more on each side makes up for the rounding of bin_of.
  [[nodiscard]] double least_of(std::size_t bin) const {
    return bin < 2 ? -std::numeric_limits<float>::max() : edge(static_cast<double>(bin) - 1.0);
  }
  [[nodiscard]] double most_of(std::size_t bin) const {
    return bin + 2 >= bins_ ? std::numeric_limits<float>::max() : edge(static_cast<double>(bin) + 2.0);
  }
  [[nodiscard]] double edge(double bin) const { return double{low_} + bin / double{scale_}; }

  void add(const LevelBlock& block) {
    std::vector<std::uint32_t> mine(bins_);
    const BlockView<float> inner = block.values.sub(block.inner());
    for (std::int64_t z = 0; z < inner.shape.z; ++z) {
      std::fill(mine.begin(), mine.end(), 0U);
      for (std::int64_t y = 0; y < inner.shape.y; ++y)
        for (std::int64_t x = 0; x < inner.shape.x; ++x) ++mine[bin_of(inner.row(z, y)[x])];
      const auto number = static_cast<std::size_t>(
          std::lower_bound(planes_.begin(), planes_.end(), block.box.origin.z + z) - planes_.begin());
      for (std::size_t bin = 0; bin < bins_; ++bin)
        if (mine[bin] != 0)
          std::atomic_ref<std::uint32_t>(counts_[number * bins_ + bin])
              .fetch_add(mine[bin], std::memory_order_relaxed);
    }
  }

  const std::vector<std::int64_t>& planes_;
  float low_ = 0;
  float scale_ = 1;
  std::size_t bins_ = 0;
  std::vector<std::uint32_t> counts_;
};

/// How many voxels of each plane exceed a threshold, by a pass over them.
std::vector<std::uint64_t> exact_above(LevelStream& smoothed, const std::vector<std::int64_t>& planes,
                                       double threshold) {
  std::vector<std::uint64_t> above(planes.size());
  smoothed.visit({{}, 0, plane_ranges(planes)}, [&](const LevelBlock& block) {
    for_each_row(block, [&](std::int64_t z, std::span<const float> row) {
      const auto count = static_cast<std::uint64_t>(std::count_if(
          row.begin(), row.end(), [&](float v) { return static_cast<double>(v) > threshold; }));
      const auto number = static_cast<std::size_t>(
          std::lower_bound(planes.begin(), planes.end(), z) - planes.begin());
      if (count > 0)
        std::atomic_ref<std::uint64_t>(above[number]).fetch_add(count, std::memory_order_relaxed);
    });
  });
  smoothed.merge().sum(above);
  return above;
}

/// One rejection round: the places in `initial` that stay.
class Rejection {
 public:
  Rejection(LevelStream& smoothed, const std::vector<std::int64_t>& initial,
            const std::vector<ExactMoments>& moments, std::int64_t bytes)
      : smoothed_(smoothed),
        initial_(initial),
        moments_(moments),
        bytes_(bytes),
        bins_(smoothed, initial, moments, bytes) {}

  [[nodiscard]] std::vector<std::size_t> remaining(const std::vector<std::size_t>& kept) {
    ExactMoments all;
    for (const std::size_t i : kept) all.add(moments_[static_cast<std::size_t>(initial_[i])]);
    const numerics::Moments of_all = all.moments();
    const double bright = kBrightDeviations * of_all.deviation;
    auto threshold = bins_.median_bounds(kept);
    threshold.first += bright;
    threshold.second += bright;
    std::vector<std::size_t> remaining;
    for (const std::size_t i : kept) {
      const auto [least, most] = bins_.above_bounds(i, threshold);
      const bool drops = is_bright(least);
      if (drops != is_bright(most)) return exactly(kept, of_all);
      if (!drops) remaining.push_back(i);
    }
    return remaining;
  }

 private:
  [[nodiscard]] bool is_bright(std::uint64_t above) const {
    const Extent3& shape = smoothed_.shape();
    return static_cast<double>(above) / static_cast<double>(shape.y * shape.x) > kBrightFractionLimit;
  }

  /// Where the bins leave it open.
  [[nodiscard]] std::vector<std::size_t> exactly(const std::vector<std::size_t>& kept,
                                                 const numerics::Moments& of_all) {
    std::vector<std::int64_t> planes;
    for (const std::size_t i : kept) planes.push_back(initial_[i]);
    const float median = percentiles_of_planes(smoothed_, planes, {50.0},
                                               static_cast<float>(2.0 * of_all.mean), bytes_)
                             .front()
                             .median();
    const double bright = kBrightDeviations * of_all.deviation;
    const auto above = exact_above(smoothed_, planes, static_cast<double>(median) + bright);
    std::vector<std::size_t> remaining;
    for (std::size_t k = 0; k < kept.size(); ++k)
      if (!is_bright(above[k])) remaining.push_back(kept[k]);
    return remaining;
  }

  LevelStream& smoothed_;
  const std::vector<std::int64_t>& initial_;
  const std::vector<ExactMoments>& moments_;
  std::int64_t bytes_;
  PlaneBins bins_;
};

}  // namespace

BackgroundPlanes select_background_planes(LevelStream& level, double sigma_voxels, std::int64_t bytes) {
  if (level.shape().empty()) throw Error(ErrorCode::kBadInput, "the estimation level holds no voxels");
  SmoothedStream smoothed(level, sigma_voxels);
  // A percentile lies between two deviations; those of the planes above them do not matter. One more for what rounding
  // makes of its place.
  const auto below = static_cast<std::int64_t>(kInitialPercentile / 100.0 * static_cast<double>(level.shape().z - 1));
  const PlaneDeviations found = lowest_deviations(smoothed, std::min(below + 3, level.shape().z));
  const std::vector<ExactMoments>& moments = found.moments;
  const std::vector<double>& deviations = found.values;
  std::vector<double> scratch = deviations;
  const double limit = numerics::percentile(std::span<double>(scratch), kInitialPercentile);

  BackgroundPlanes result;
  for (std::size_t z = 0; z < deviations.size(); ++z)
    if (deviations[z] <= limit) result.initial.push_back(static_cast<std::int64_t>(z));

  Rejection rejection(smoothed, result.initial, moments, bytes);
  std::vector<std::size_t> kept(result.initial.size());
  std::iota(kept.begin(), kept.end(), std::size_t{0});
  while (result.rounds < kMostRounds && !kept.empty()) {
    ++result.rounds;
    std::vector<std::size_t> remaining = rejection.remaining(kept);
    const double dropped_share =
        static_cast<double>(kept.size() - remaining.size()) / static_cast<double>(kept.size());
    kept = std::move(remaining);
    if (dropped_share < kDroppedShareLimit) break;
  }
  result.all_rejected = kept.empty();
  for (const std::size_t i : kept) result.planes.push_back(result.initial[i]);
  if (kept.empty()) result.planes = result.initial;
  return result;
}

std::vector<std::int64_t> map_planes(const std::vector<std::int64_t>& planes,
                                     const PlanePositions& estimation, const PlanePositions& target,
                                     std::int64_t target_count) {
  constexpr double kTolerance = 1e-9;  // of a plane: metadata scales are rounded decimal numbers
  std::vector<std::int64_t> mapped;
  for (const std::int64_t plane : planes) {
    const double start = estimation.translation + static_cast<double>(plane) * estimation.scale;
    const double stop = estimation.translation + static_cast<double>(plane + 1) * estimation.scale;
    const auto clamped = [&](double index) {
      return static_cast<std::int64_t>(std::clamp(index, 0.0, static_cast<double>(target_count)));
    };
    const std::int64_t first =
        clamped(std::floor((start - target.translation) / target.scale + kTolerance));
    const std::int64_t last =
        clamped(std::ceil((stop - target.translation) / target.scale - kTolerance));
    for (std::int64_t z = first; z < last; ++z) mapped.push_back(z);
  }
  std::sort(mapped.begin(), mapped.end());
  mapped.erase(std::unique(mapped.begin(), mapped.end()), mapped.end());
  return mapped;
}

void subtract_background(BlockView<float> values, const Box3& box, BlockView<const float> background) {
  for (std::int64_t z = 0; z < values.shape.z; ++z)
    for (std::int64_t y = 0; y < values.shape.y; ++y) {
      float* row = values.row(z, y);
      const float* level = background.row(0, box.origin.y + y) + box.origin.x;
      for (std::int64_t x = 0; x < values.shape.x; ++x) {
        const float v = row[x] - level[x];
        row[x] = v > 0.0F ? v : 0.0F;
      }
    }
}

LevelChange subtraction_of(const std::optional<BlockView<const float>>& background) {
  if (!background) return {};
  return [background = *background](const Box3& box, BlockView<float> values) {
    subtract_background(values, box, background);
  };
}

}  // namespace flatfield::methods
