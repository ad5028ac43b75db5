#include "flatfield/methods/plane_samples.h"

#include <algorithm>
#include <vector>

namespace flatfield::methods {
namespace {

constexpr int kAxisX = 2;
constexpr std::int64_t kCacheLineFloats = 16;

/// Collects sample_of(row of volume, row of weights, x) of the masked voxels. Without weights the
/// view is empty, and so is its row.
template <class Sample, class SampleOf>
void gather_planes(BlockView<const float> volume, BlockView<const float> weights,
                   BitView mask, int axis, const ParallelFor& parallel_for,
                   SampleOf sample_of,
                   const std::function<void(std::int64_t plane, std::span<Sample>)>& visit) {
  const std::int64_t planes = volume.shape[axis];
  // Planes across x are gathered together, so that each cache line is loaded once.
  const std::int64_t group = axis == kAxisX ? kCacheLineFloats : 1;
  parallel_for(ceil_div(planes, group), [&](std::int64_t g) {
    const std::int64_t first = g * group;
    const std::int64_t last = std::min(first + group, planes);
    Box3 box{{0, 0, 0}, volume.shape};
    box.origin[axis] = first;
    box.shape[axis] = last - first;
    const BlockView<const float> part = volume.sub(box);
    const BitView inside = mask.sub(box);
    const BlockView<const float> weight =
        weights.data == nullptr ? BlockView<const float>() : weights.sub(box);
    std::vector<std::vector<Sample>> samples(static_cast<std::size_t>(last - first));
    for (std::int64_t z = 0; z < box.shape.z; ++z)
      for (std::int64_t y = 0; y < box.shape.y; ++y) {
        const float* v = part.row(z, y);
        const float* w = weight.row(z, y);
        const BitRow m = inside.row(z, y);
        for (std::int64_t x = 0; x < box.shape.x; ++x)
          if (m[x])
            samples[axis == kAxisX ? static_cast<std::size_t>(x) : 0].push_back(sample_of(v, w, x));
      }
    for (std::int64_t plane = first; plane < last; ++plane)
      visit(plane, samples[static_cast<std::size_t>(plane - first)]);
  });
}

}  // namespace

void for_each_plane_sample(
    BlockView<const float> volume, BitView mask, int axis,
    const ParallelFor& parallel_for,
    const std::function<void(std::int64_t plane, std::span<float> values)>& visit) {
  gather_planes<float>(
      volume, {}, mask, axis, parallel_for,
      [](const float* v, const float*, std::int64_t x) { return v[x]; }, visit);
}

void for_each_weighted_plane_sample(
    BlockView<const float> volume, BlockView<const float> weights,
    BitView mask, int axis, const ParallelFor& parallel_for,
    const std::function<void(std::int64_t plane, std::span<numerics::WeightedValue> samples)>&
        visit) {
  gather_planes<numerics::WeightedValue>(
      volume, weights, mask, axis, parallel_for,
      [](const float* v, const float* w, std::int64_t x) {
        return numerics::WeightedValue{v[x], w[x]};
      },
      visit);
}

std::vector<float> plane_values(BlockView<const float> volume,
                                const std::vector<std::int64_t>& planes) {
  std::vector<float> values;
  values.reserve(planes.size() * static_cast<std::size_t>(volume.shape.y * volume.shape.x));
  for (const std::int64_t z : planes)
    for (std::int64_t y = 0; y < volume.shape.y; ++y)
      values.insert(values.end(), volume.row(z, y), volume.row(z, y) + volume.shape.x);
  return values;
}

}  // namespace flatfield::methods
