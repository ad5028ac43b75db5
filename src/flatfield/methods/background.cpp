#include "flatfield/methods/background.h"

#include <algorithm>
#include <cmath>

#include "flatfield/core/error.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

constexpr double kInitialPercentile = 5.0;
constexpr int kMostRounds = 100;
constexpr double kBrightDeviations = 3.0;
constexpr double kBrightFractionLimit = 0.01;
constexpr double kDroppedShareLimit = 0.0001;

/// Median and deviation of all voxels of some planes, and from them the brightness above which a voxel is
/// not background.
double bright_threshold(BlockView<const float> volume, const std::vector<std::int64_t>& planes) {
  const std::int64_t plane_size = volume.shape.y * volume.shape.x;
  std::vector<float> values(static_cast<std::size_t>(plane_size) * planes.size());
  float* next = values.data();
  for (const std::int64_t z : planes)
    for (std::int64_t y = 0; y < volume.shape.y; ++y, next += volume.shape.x)
      std::copy_n(volume.row(z, y), volume.shape.x, next);
  const double deviation = numerics::moments(values).deviation;
  return static_cast<double>(numerics::median(values)) + kBrightDeviations * deviation;
}

double fraction_above(BlockView<const float> plane, double threshold) {
  std::int64_t above = 0;
  for (std::int64_t y = 0; y < plane.shape.y; ++y) {
    const float* row = plane.row(0, y);
    above += std::count_if(row, row + plane.shape.x,
                           [&](float v) { return static_cast<double>(v) > threshold; });
  }
  return static_cast<double>(above) / static_cast<double>(plane.size());
}

}  // namespace

BackgroundPlanes select_background_planes(BlockView<const float> smoothed,
                                          const ParallelFor& parallel_for) {
  const Extent3& shape = smoothed.shape;
  if (shape.empty()) throw Error(ErrorCode::kBadInput, "the estimation level holds no voxels");
  const auto plane = [&](std::int64_t z) { return smoothed.sub({{z, 0, 0}, {1, shape.y, shape.x}}); };

  std::vector<double> deviations(static_cast<std::size_t>(shape.z));
  parallel_for(shape.z, [&](std::int64_t z) {
    deviations[static_cast<std::size_t>(z)] = numerics::moments(plane(z).span()).deviation;
  });
  std::vector<double> scratch = deviations;
  const double limit = numerics::percentile(std::span<double>(scratch), kInitialPercentile);

  BackgroundPlanes result;
  for (std::int64_t z = 0; z < shape.z; ++z)
    if (deviations[static_cast<std::size_t>(z)] <= limit) result.initial.push_back(z);

  std::vector<std::int64_t> kept = result.initial;
  while (result.rounds < kMostRounds && !kept.empty()) {
    ++result.rounds;
    const double threshold = bright_threshold(smoothed, kept);
    std::vector<std::uint8_t> drop(kept.size());
    parallel_for(static_cast<std::int64_t>(kept.size()), [&](std::int64_t i) {
      const auto k = static_cast<std::size_t>(i);
      drop[k] = fraction_above(plane(kept[k]), threshold) > kBrightFractionLimit ? 1 : 0;
    });
    std::vector<std::int64_t> remaining;
    for (std::size_t i = 0; i < kept.size(); ++i)
      if (drop[i] == 0) remaining.push_back(kept[i]);
    const double dropped_share =
        static_cast<double>(kept.size() - remaining.size()) / static_cast<double>(kept.size());
    kept = std::move(remaining);
    if (dropped_share < kDroppedShareLimit) break;
  }
  result.all_rejected = kept.empty();
  result.planes = kept.empty() ? result.initial : std::move(kept);
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

void subtract_background(BlockView<float> volume, BlockView<const float> background,
                         const ParallelFor& parallel_for) {
  parallel_for(volume.shape.z, [&](std::int64_t z) {
    for (std::int64_t y = 0; y < volume.shape.y; ++y) {
      float* row = volume.row(z, y);
      const float* level = background.row(0, y);
      for (std::int64_t x = 0; x < volume.shape.x; ++x) {
        const float v = row[x] - level[x];
        row[x] = v > 0.0F ? v : 0.0F;
      }
    }
  });
}

}  // namespace flatfield::methods
