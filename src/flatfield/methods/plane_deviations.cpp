#include "flatfield/methods/plane_deviations.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace flatfield::methods {
namespace {

using numerics::ExactMoments;

/// Adds the voxels of some planes (empty = all) in the rows that `takes` to the planes' moments.
template <class Takes>
void add_rows(LevelStream& level, const std::vector<std::int64_t>& planes, Takes takes,
              std::vector<ExactMoments>& moments) {
  std::vector<std::vector<ExactMoments>> parts(static_cast<std::size_t>(level.workers()),
                                               std::vector<ExactMoments>(moments.size()));
  LevelPass pass{{}, 0, plane_ranges(planes)};
  pass.wants = [&](const Box3& box) {
    for (std::int64_t y = box.origin.y; y < box.end().y; ++y)
      if (takes(y)) return true;
    return false;
  };
  level.visit(pass, [&](const LevelBlock& block) {
    const BlockView<float> inner = block.values.sub(block.inner());
    std::vector<ExactMoments>& mine = parts[static_cast<std::size_t>(block.worker)];
    for (std::int64_t z = 0; z < inner.shape.z; ++z)
      for (std::int64_t y = 0; y < inner.shape.y; ++y)
        if (takes(block.box.origin.y + y))
          mine[static_cast<std::size_t>(block.box.origin.z + z)].add(
              std::span<const float>(inner.row(z, y), static_cast<std::size_t>(inner.shape.x)));
  });
  for (std::size_t i = 1; i < parts.size(); ++i)
    for (std::size_t z = 0; z < moments.size(); ++z) parts[0][z].add(parts[i][z]);
  ExactMoments::merge(parts[0], level.merge());
  for (std::size_t z = 0; z < moments.size(); ++z) moments[z].add(parts[0][z]);
}

}  // namespace

PlaneDeviations lowest_deviations(LevelStream& level, std::int64_t lowest, const RowSample& sample) {
  const Extent3& shape = level.shape();
  const auto planes = static_cast<std::size_t>(shape.z);
  const bool all = sample.is_all(shape);
  const auto in_sample = [&](std::int64_t y) { return all || sample.holds(y); };
  PlaneDeviations found;
  found.moments.resize(planes);
  add_rows(level, {}, in_sample, found.moments);

  // The sample's share of a plane's squares, less what doubles may be off.
  constexpr double kSafe = 1.0 - 1e-9;
  std::vector<double> of_sample;
  for (const ExactMoments& moments : found.moments) {
    const double share = static_cast<double>(moments.count()) / static_cast<double>(shape.y * shape.x);
    of_sample.push_back(moments.moments().deviation);
    found.values.push_back(all ? of_sample.back() : of_sample.back() * std::sqrt(share) * kSafe);
  }
  if (all) return found;

  std::vector<bool> known(planes);
  const auto learn = [&](const std::vector<std::int64_t>& which) {
    if (which.empty()) return;
    add_rows(level, which, [&](std::int64_t y) { return !in_sample(y); }, found.moments);
    for (const std::int64_t z : which) {
      const auto at = static_cast<std::size_t>(z);
      known[at] = true;
      found.values[at] = found.moments[at].moments().deviation;
    }
  };

  // Those that look lowest; and then all others that may be as low as the highest of these.
  std::vector<std::int64_t> order(planes);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return of_sample[static_cast<std::size_t>(a)] < of_sample[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(lowest));
  std::sort(order.begin(), order.end());
  learn(order);
  double limit = 0.0;
  for (const std::int64_t z : order) limit = std::max(limit, found.values[static_cast<std::size_t>(z)]);
  std::vector<std::int64_t> others;
  for (std::size_t z = 0; z < planes; ++z)
    if (!known[z] && found.values[z] <= limit) others.push_back(static_cast<std::int64_t>(z));
  learn(others);
  return found;
}

}  // namespace flatfield::methods
