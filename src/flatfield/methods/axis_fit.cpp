#include "flatfield/methods/axis_fit.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "flatfield/core/error.h"
#include "flatfield/methods/axis_percentiles.h"
#include "flatfield/numerics/gaussian_block.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

/// Memory of each worker for the mask of a box.
class MaskMemory {
 public:
  explicit MaskMemory(int workers) : bytes_(static_cast<std::size_t>(workers)) {}
  BlockView<const std::uint8_t> expand(const FitMask& mask, const Box3& box, int worker) {
    std::vector<std::uint8_t>& mine = bytes_[static_cast<std::size_t>(worker)];
    mine.resize(static_cast<std::size_t>(box.shape.volume()));
    const BlockView<std::uint8_t> view(mine.data(), box.shape);
    mask.expand(box, view);
    return view;
  }

 private:
  std::vector<std::vector<std::uint8_t>> bytes_;
};

/// A value of 0 or more, as uint16: half to even, as the addition itself rounds.
std::size_t rounded(float value) {
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23
  const auto bits = std::bit_cast<std::uint32_t>(std::clamp(value, 0.0F, 65535.0F) + kRounder);
  return bits & 0xFFFFU;
}

/// The sum of weight(z, y, x) (of the box) of the masked voxels by their value as uint16.
template <class Weight>
void add_to_histogram(BlockView<const float> values, BlockView<const std::uint8_t> inside,
                      std::vector<std::uint64_t>& bins, Weight weight) {
  for (std::int64_t z = 0; z < values.shape.z; ++z)
    for (std::int64_t y = 0; y < values.shape.y; ++y) {
      const float* row = values.row(z, y);
      const std::uint8_t* in = inside.row(z, y);
      if (std::memchr(in, 1, static_cast<std::size_t>(values.shape.x)) == nullptr) continue;
      for (std::int64_t x = 0; x < values.shape.x; ++x)
        if (in[x] != 0)
          bins[rounded(row[x])] += weight(z, y, x);
    }
}

/// LevelPass::wants of a visitor that looks at foreground only.
std::function<bool(const Box3&)> wanted_by(const FitMask& mask) {
  return [&mask](const Box3& box) { return mask.may_hold(box); };
}

/// Percentiles of all planes along the three axes of the profile volume: min(v_low, cap), smoothed.
template <class Search>
void find_percentiles(LevelStream& v_low, const FitMask& mask, float cap, const FittingOptions& options,
                      const WeightField* weights, AxisPercentiles<Search>& found) {
  const double s = options.gaussian_sigma;
  const std::array<double, 3> sigma{s, s, s};
  LevelPass pass{numerics::gaussian_reach(sigma), weights == nullptr ? 0 : 1, {}, wanted_by(mask)};
  const auto capped = [cap](const Box3&, BlockView<float> values) {
    for (std::int64_t z = 0; z < values.shape.z; ++z)
      for (std::int64_t y = 0; y < values.shape.y; ++y) {
        float* row = values.row(z, y);
        for (std::int64_t x = 0; x < values.shape.x; ++x) row[x] = row[x] < cap ? row[x] : cap;
      }
  };
  // Weights are those of values that are not capped.
  if (weights != nullptr)
    pass.halo = max(pass.halo, weights->reach());
  else
    pass.change = capped;
  MaskMemory masks(v_low.workers());
  while (!found.done()) {
    v_low.visit(pass, [&](const LevelBlock& block) {
      const BlockView<const std::uint8_t> inside = masks.expand(mask, block.box, block.worker);
      // Nothing is asked of a box without foreground.
      if (std::all_of(inside.span().begin(), inside.span().end(), [](std::uint8_t m) { return m == 0; }))
        return;
      std::optional<BlockView<const float>> weight;
      if (weights != nullptr) {
        weights->weigh(block, block.spare[0]);
        weight = block.spare[0].sub(block.inner());
        capped(block.seen, block.values);
      }
      numerics::gaussian_filter_block(block.values, block.inner(), sigma);
      found.add(block.box, block.values.sub(block.inner()), inside, block.worker, weight);
    });
    found.end_pass(v_low.merge());
  }
}

/// The percentile of each plane along each axis, relative to g; g where there are too few voxels.
std::array<std::vector<float>, 3> profiles(LevelStream& v_low, const FitMask& mask, float cap,
                                           const FittingOptions& options, double g, std::int64_t bytes,
                                           const WeightField* weights) {
  const std::int64_t fewest = std::max<std::int64_t>(options.profile_min_voxels, 1);
  std::array<std::vector<float>, 3> profiles;
  const auto set = [&](int axis, std::int64_t plane, double value) {
    profiles[static_cast<std::size_t>(axis)][static_cast<std::size_t>(plane)] =
        static_cast<float>(value) / static_cast<float>(g);
  };
  const Extent3& shape = v_low.shape();
  // With the usual factor of 2 the curves that can be found, from 0.25 to 1.2 of g, lie well within these.
  const AxisPercentileOptions search{shape, options.profile_percentile, {}, {0.75F * cap, 0.1F * cap}, v_low.workers(), bytes};
  for (int axis = 0; axis < 3; ++axis)
    profiles[static_cast<std::size_t>(axis)].resize(static_cast<std::size_t>(shape[axis]));
  if (weights == nullptr) {
    AxisPercentiles<numerics::RankCounts> found(search);
    find_percentiles(v_low, mask, cap, options, nullptr, found);
    for (int axis = 0; axis < 3; ++axis)
      for (std::int64_t i = 0; i < shape[axis]; ++i) {
        const RankResult result = found.plane(axis, i);
        set(axis, i, static_cast<std::int64_t>(result.total) < fewest ? g : result.linear());
      }
    return profiles;
  }
  AxisPercentiles<numerics::RankWeights> found(search);
  find_percentiles(v_low, mask, cap, options, weights, found);
  for (int axis = 0; axis < 3; ++axis) {
    const std::vector<std::int64_t> counts = mask.plane_counts(axis);
    for (std::int64_t i = 0; i < shape[axis]; ++i) {
      const RankResult result = found.plane(axis, i);
      const bool too_few = counts[static_cast<std::size_t>(i)] < fewest || result.total == 0;
      set(axis, i, too_few ? g : static_cast<double>(result.lower));
    }
  }
  return profiles;
}

}  // namespace

void GlobalLevelCount::add(BlockView<const float> v_low, BlockView<const std::uint8_t> inside, int worker) {
  add_to_histogram(v_low, inside, bins_[static_cast<std::size_t>(worker)], [](auto, auto, auto) { return 1U; });
}

double GlobalLevelCount::level(double percentile, const Merge& merge) const {
  std::vector<std::int64_t> counts(bins_.front().size());
  for (const std::vector<std::uint64_t>& part : bins_)
    for (std::size_t bin = 0; bin < counts.size(); ++bin) counts[bin] += static_cast<std::int64_t>(part[bin]);
  merge.sum(counts);
  return numerics::histogram_percentile(counts, percentile);
}

double global_level(LevelStream& v_low, const FitMask& mask, double percentile, const WeightField* weights) {
  MaskMemory masks(v_low.workers());
  if (weights == nullptr) {
    GlobalLevelCount count(v_low.workers());
    v_low.visit({{}, 0, {}, wanted_by(mask)}, [&](const LevelBlock& block) {
      count.add(block.values, masks.expand(mask, block.box, block.worker), block.worker);
    });
    return count.level(percentile, v_low.merge());
  }
  const IntegerWeight integer_weight(v_low.shape().volume());
  constexpr std::size_t kBins = 65536;
  std::vector<std::vector<std::uint64_t>> parts(static_cast<std::size_t>(v_low.workers()),
                                                std::vector<std::uint64_t>(kBins));
  v_low.visit({weights->reach(), 1, {}, wanted_by(mask)}, [&](const LevelBlock& block) {
    const BlockView<const std::uint8_t> inside = masks.expand(mask, block.box, block.worker);
    weights->weigh(block, block.spare[0]);
    const BlockView<float> weight = block.spare[0].sub(block.inner());
    add_to_histogram(block.values.sub(block.inner()), inside, parts[static_cast<std::size_t>(block.worker)],
                     [&](std::int64_t z, std::int64_t y, std::int64_t x) {
                       return integer_weight(weight.row(z, y)[x]);
                     });
  });
  for (std::size_t i = 1; i < parts.size(); ++i)
    for (std::size_t bin = 0; bin < kBins; ++bin) parts[0][bin] += parts[i][bin];
  v_low.merge().sum(parts[0]);
  return numerics::weighted_histogram_percentile(std::vector<double>(parts[0].begin(), parts[0].end()),
                                                 percentile);
}

AxisFit fit_axes(LevelStream& v_low, const FitMask& mask, double g, double med_factor,
                 const FittingOptions& options, std::int64_t bytes, const WeightField* weights) {
  if (v_low.shape() != mask.shape() || !(g > 0.0))
    throw Error(ErrorCode::kInternal, "fit_axes needs a mask of the level's shape and g > 0");
  AxisFit fit;
  fit.g = g;
  std::array<std::vector<float>, 3> found =
      profiles(v_low, mask, static_cast<float>(g * med_factor), options, g, bytes, weights);
  const std::array<std::optional<Limits>, 3> limits{options.limits_z, options.limits_y, options.limits_x};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    AxisProfile& result = fit.axes[axis];
    result.profile = std::move(found[axis]);
    result.limits = limits[axis];
    if (result.limits == Limits{1.0, 1.0}) continue;
    const std::vector<double> samples(result.profile.begin(), result.profile.end());
    result.spline = numerics::smoothing_spline(samples, options.spline_smoothing);
  }
  return fit;
}

std::vector<float> evaluate_curve(const AxisProfile& axis, std::int64_t length) {
  if (!axis.spline) return {};
  std::vector<float> curve(static_cast<std::size_t>(length));
  const auto last_sample = static_cast<double>(axis.profile.size() - 1);
  for (std::int64_t i = 0; i < length; ++i) {
    const double position =
        length == 1 ? 0.0 : static_cast<double>(i) * last_sample / static_cast<double>(length - 1);
    double value = (*axis.spline)(position);
    if (axis.limits) value = std::clamp(value, axis.limits->lo, axis.limits->hi);
    curve[static_cast<std::size_t>(i)] = static_cast<float>(value);
  }
  return curve;
}

GlobalRatio global_ratio(double global_factor, double g, const std::optional<Limits>& limits) {
  const double ratio = global_factor / g;
  const double limited = limits ? std::clamp(ratio, limits->lo, limits->hi) : ratio;
  return {static_cast<float>(limited), limited != ratio};
}

}  // namespace flatfield::methods
