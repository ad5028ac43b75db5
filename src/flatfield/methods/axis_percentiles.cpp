#include "flatfield/methods/axis_percentiles.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "flatfield/numerics/find_within.h"

namespace flatfield::methods {
namespace {

constexpr std::size_t kFoundAtOnce = 1 << 14;
/// Voxels along y and x that are counted together.
constexpr std::int64_t kRows = 8;
constexpr std::int64_t kColumns = 32;
/// Tables lie a cache line more apart than their bins, else the same bin of all of them would share one set of the
/// cache.
constexpr std::size_t kLineBytes = 64;

std::int64_t largest_plane(const Extent3& shape) {
  return std::max({shape.y * shape.x, shape.z * shape.x, shape.z * shape.y});
}

std::size_t plane_count(const Extent3& shape) { return static_cast<std::size_t>(shape.z + shape.y + shape.x); }

}  // namespace

IntegerWeight::IntegerWeight(std::int64_t plane_voxels) {
  int bits = 63;
  while (plane_voxels > 1) {
    plane_voxels = ceil_div(plane_voxels, 2);
    --bits;
  }
  units_ = std::ldexp(1.0, std::clamp(bits, 0, 52));
}

template <class Search>
AxisPercentiles<Search>::AxisPercentiles(const AxisPercentileOptions& options)
    : options_(options),
      integer_weight_(largest_plane(options.shape)),
      search_(plane_count(options.shape),
              // The planes along z hold all voxels.
              std::vector<typename Search::Union>(options.overall.size(),
                                                  {0, static_cast<std::size_t>(options.shape.z)}),
              options.range,
              [planes = plane_count(options.shape), options](std::size_t line, std::uint64_t total) {
                const double percentage =
                    line < planes ? options.percentage : options.overall[line - planes];
                return Search::kCountsValues
                           ? numerics::percentile_targets(total, percentage)
                           : numerics::inverted_cdf_target(total, percentage);
              },
              options.bytes),
      scratch_(static_cast<std::size_t>(options.workers)) {}

template <class Search>
std::int64_t AxisPercentiles<Search>::least_bytes(const Extent3& shape, int workers) {
  // Tables of a box of 64 x 128 x 128 voxels, and what is found at once.
  constexpr std::int64_t kScratch = 320 * 2048 * std::int64_t{sizeof(Tally)} + (std::int64_t{1} << 20);
  return Search::least_bytes(plane_count(shape)) + workers * kScratch;
}

template <class Search>
std::size_t AxisPercentiles<Search>::line(int axis, std::int64_t index) const {
  const std::int64_t before =
      axis == 0 ? 0 : axis == 1 ? options_.shape.z : options_.shape.z + options_.shape.y;
  return static_cast<std::size_t>(before + index);
}

template <class Search>
typename AxisPercentiles<Search>::Weight AxisPercentiles<Search>::weight_of(const float* row, std::int64_t x) const {
  if constexpr (Search::kCountsValues)
    return 1;
  else
    return integer_weight_(row[x]);
}

template <class Search>
void AxisPercentiles<Search>::add(const Box3& box, BlockView<const float> values,
                                  BlockView<const std::uint8_t> inside, int worker,
                                  const std::optional<BlockView<const float>>& weights) {
  Scratch& scratch = scratch_[static_cast<std::size_t>(worker)];
  if (search_.counting())
    count(box, values, inside, weights, scratch);
  else
    find(box, values, inside, weights, scratch);
}

template <class Search>
void AxisPercentiles<Search>::count(const Box3& box, BlockView<const float> values,
                                    BlockView<const std::uint8_t> inside,
                                    const std::optional<BlockView<const float>>& weights,
                                    Scratch& scratch) {
  if (static_cast<std::uint64_t>(largest_plane(box.shape)) > std::numeric_limits<Tally>::max())
    return count_halves(box, values, inside, weights, scratch);
  const std::size_t bins = search_.bins();
  const std::size_t apart = bins + kLineBytes / sizeof(Tally);
  const auto table_of = [&](std::vector<Tally>& tables, std::int64_t i) {
    return tables.data() + static_cast<std::size_t>(i) * apart;
  };
  auto& [along_z, along_y, along_x] = scratch.tables;
  along_z.assign(static_cast<std::size_t>(box.shape.z) * apart, 0);
  along_y.assign(static_cast<std::size_t>(box.shape.y) * apart, 0);
  along_x.assign(static_cast<std::size_t>(box.shape.x) * apart, 0);
  std::array<std::uint32_t, kColumns> found;
  // Column by column: the tables of its rows and columns stay in the first cache.
  const Extent3 column{box.shape.z, kRows, kColumns};
  const Extent3 grid = ceil_div(box.shape, column);
  for (std::int64_t i = 0; i < grid.volume(); ++i) {
    const Box3 part = tile_box(unravel(i, grid), column, box.shape);
    const std::int64_t x0 = part.origin.x;
    for (std::int64_t z = 0; z < box.shape.z; ++z)
      for (std::int64_t y = part.origin.y; y < part.end().y; ++y) {
        const std::uint8_t* in = inside.row(z, y) + x0;
        if (std::memchr(in, 1, static_cast<std::size_t>(part.shape.x)) == nullptr) continue;
        const float* row = values.row(z, y) + x0;
        const float* weight_row = weights ? weights->row(z, y) + x0 : nullptr;
        for (std::int64_t x = 0; x < part.shape.x; ++x) found[static_cast<std::size_t>(x)] = search_.bin_of(row[x]);
        Tally* const of_z = table_of(along_z, z);
        Tally* const of_y = table_of(along_y, y);
        Tally* const of_x = table_of(along_x, x0);
        const auto count_one = [&](std::int64_t x) {
          const auto weight = static_cast<Tally>(weight_of(weight_row, x));
          const std::uint32_t bin = found[static_cast<std::size_t>(x)];
          Tally* const of_this_x = of_x + static_cast<std::size_t>(x) * apart;
          of_z[bin] = static_cast<Tally>(of_z[bin] + weight);
          of_y[bin] = static_cast<Tally>(of_y[bin] + weight);
          of_this_x[bin] = static_cast<Tally>(of_this_x[bin] + weight);
        };
        // Most stretches lie inside as a whole.
        if (std::memchr(in, 0, static_cast<std::size_t>(part.shape.x)) == nullptr) {
          for (std::int64_t x = 0; x < part.shape.x; ++x) count_one(x);
          continue;
        }
        for (std::int64_t x = 0; x < part.shape.x; ++x)
          if (in[x] != 0) count_one(x);
      }
  }
  const auto flush = [&](int axis, std::vector<Tally>& tables) {
    for (std::int64_t i = 0; i < box.shape[axis]; ++i)
      search_.add_counts(line(axis, box.origin[axis] + i), std::span<const Tally>(table_of(tables, i), bins));
  };
  flush(0, along_z);
  flush(1, along_y);
  flush(2, along_x);
}

template <class Search>
void AxisPercentiles<Search>::count_halves(const Box3& box, BlockView<const float> values,
                                           BlockView<const std::uint8_t> inside,
                                           const std::optional<BlockView<const float>>& weights,
                                           Scratch& scratch) {
  int axis = 0;
  for (int other = 1; other < 3; ++other)
    if (box.shape[other] > box.shape[axis]) axis = other;
  Box3 half{{0, 0, 0}, box.shape};
  half.shape[axis] /= 2;
  const auto count_part = [&](const Box3& part) {
    std::optional<BlockView<const float>> part_weights;
    if (weights) part_weights = weights->sub(part);
    count({box.origin + part.origin, part.shape}, values.sub(part), inside.sub(part), part_weights, scratch);
  };
  count_part(half);
  half.origin[axis] = half.shape[axis];
  half.shape[axis] = box.shape[axis] - half.shape[axis];
  count_part(half);
}

template <class Search>
void AxisPercentiles<Search>::find(const Box3& box, BlockView<const float> values,
                                   BlockView<const std::uint8_t> inside,
                                   const std::optional<BlockView<const float>>& weights,
                                   Scratch& scratch) {
  const auto width = static_cast<std::size_t>(box.shape.x);
  const std::size_t first_x = line(2, box.origin.x);
  const std::size_t overall = plane_count(options_.shape);
  scratch.places.resize(width);
  std::vector<numerics::Bounds> bounds(2 + options_.overall.size());
  const auto bounds_of = [&](std::size_t line) { return numerics::Bounds{search_.low(line), search_.high(line)}; };
  for (std::size_t k = 0; k < options_.overall.size(); ++k) bounds[2 + k] = bounds_of(overall + k);
  for (std::int64_t z = 0; z < box.shape.z; ++z)
    for (std::int64_t y = 0; y < box.shape.y; ++y) {
      const std::uint8_t* in = inside.row(z, y);
      if (std::memchr(in, 1, width) == nullptr) continue;
      const float* row = values.row(z, y);
      const std::size_t line_z = line(0, box.origin.z + z);
      const std::size_t line_y = line(1, box.origin.y + y);
      bounds[0] = bounds_of(line_z);
      bounds[1] = bounds_of(line_y);
      // Few voxels matter to any line.
      const std::int64_t count =
          numerics::find_within(row, in, static_cast<std::int64_t>(width), search_.lows() + first_x,
                                search_.highs() + first_x, bounds, scratch.places.data());
      const float* weight_row = weights ? weights->row(z, y) : nullptr;
      for (std::int64_t i = 0; i < count; ++i) {
        const std::size_t x = scratch.places[static_cast<std::size_t>(i)];
        const float value = row[x];
        const Weight weight = weight_of(weight_row, static_cast<std::int64_t>(x));
        const auto offer = [&](std::size_t to) {
          if (value >= search_.low(to) && value <= search_.high(to))
            scratch.found.push_back({static_cast<std::uint32_t>(to), value, weight});
        };
        offer(line_z);
        offer(line_y);
        offer(first_x + x);
        for (std::size_t k = 0; k < options_.overall.size(); ++k) offer(overall + k);
      }
      if (scratch.found.size() >= kFoundAtOnce) {
        search_.add_found(scratch.found);
        scratch.found.clear();
      }
    }
  search_.add_found(scratch.found);
  scratch.found.clear();
}

template <class Search>
RankResult AxisPercentiles<Search>::plane(int axis, std::int64_t index) const {
  const std::size_t at = line(axis, index);
  return {search_.total(at), search_.lower(at), search_.upper(at), options_.percentage};
}

template <class Search>
RankResult AxisPercentiles<Search>::overall(std::size_t number) const {
  const std::size_t at = plane_count(options_.shape) + number;
  return {search_.total(at), search_.lower(at), search_.upper(at), options_.overall[number]};
}

template class AxisPercentiles<numerics::RankCounts>;
template class AxisPercentiles<numerics::RankWeights>;

}  // namespace flatfield::methods
