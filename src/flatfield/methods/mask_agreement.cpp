#include "flatfield/methods/mask_agreement.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace flatfield::methods {
namespace {

constexpr std::int64_t kFewest = 100;
constexpr double kFewestShareOutside = 0.01;

// Floats that are not negative are ordered like their bits: 8 of the exponent and 9 of the mantissa
// remain.
constexpr int kDroppedBits = 14;
constexpr std::size_t kBins = std::size_t{1} << (31 - kDroppedBits);
/// Each block of planes has a histogram of its own; their sum does not depend on who filled them.
constexpr std::int64_t kHistogramBlocks = 16;

struct BrightnessCounts {
  std::vector<std::int64_t> inside = std::vector<std::int64_t>(kBins);
  std::vector<std::int64_t> outside = std::vector<std::int64_t>(kBins);
};

std::size_t brightness_bin(float value) {
  return std::bit_cast<std::uint32_t>(std::max(value, 0.0F)) >> kDroppedBits;
}

BrightnessCounts count_brightness(BlockView<const float> v_low, BlockView<const float> smoothed,
                                  BitView mask,
                                  const ParallelFor& parallel_for) {
  const Extent3& shape = v_low.shape;
  const std::int64_t block = ceil_div(shape.z, kHistogramBlocks);
  std::vector<BrightnessCounts> parts(static_cast<std::size_t>(ceil_div(shape.z, block)));
  parallel_for(static_cast<std::int64_t>(parts.size()), [&](std::int64_t i) {
    BrightnessCounts& part = parts[static_cast<std::size_t>(i)];
    for (std::int64_t z = i * block; z < std::min((i + 1) * block, shape.z); ++z)
      for (std::int64_t y = 0; y < shape.y; ++y) {
        const float* v = v_low.row(z, y);
        const float* s = smoothed.row(z, y);
        const BitRow m = mask.row(z, y);
        for (std::int64_t x = 0; x < shape.x; ++x)
          if (v[x] != 0.0F) ++(m[x] ? part.inside : part.outside)[brightness_bin(s[x])];
      }
  });
  for (std::size_t i = 1; i < parts.size(); ++i)
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      parts[0].inside[bin] += parts[i].inside[bin];
      parts[0].outside[bin] += parts[i].outside[bin];
    }
  return std::move(parts[0]);
}

constexpr std::size_t kReach = 3;  ///< voxels on each side of a crossing

/// How often the inner voxel was compared, in half wins, so that the sums are exact.
struct Crossings {
  std::int64_t count = 0;
  std::int64_t half_wins = 0;
};

/// Six voxels in a line, at the same place of six rows.
struct LineRows {
  std::array<const float*, 2 * kReach> v_low;
  std::array<BitRow, 2 * kReach> mask;
  const float* first;  ///< smoothed
  const float* last;
};

void count_crossings(const LineRows& rows, std::int64_t n, Crossings& found) {
  for (std::int64_t stretch = 0; stretch < n; stretch += 64) {
    const std::int64_t count = std::min<std::int64_t>(64, n - stretch);
    std::uint64_t entering = low_bits(count);  // bit i: the line at stretch + i enters the mask
    std::uint64_t leaving = entering;
    for (std::size_t k = 0; k < 2 * kReach; ++k) {
      const std::uint64_t inside = rows.mask[k].bits(stretch, count);
      entering &= k < kReach ? ~inside : inside;
      leaving &= k < kReach ? inside : ~inside;
    }
    for (std::uint64_t left = entering | leaving; left != 0; left &= left - 1) {
      const int bit = std::countr_zero(left);
      const std::int64_t x = stretch + bit;
      if (std::any_of(rows.v_low.begin(), rows.v_low.end(), [&](const float* row) { return row[x] == 0.0F; }))
        continue;
      const bool enters = ((entering >> bit) & 1) != 0;
      const float inner = enters ? rows.last[x] : rows.first[x];
      const float outer = enters ? rows.first[x] : rows.last[x];
      ++found.count;
      found.half_wins += inner > outer ? 2 : inner == outer ? 1 : 0;
    }
  }
}

}  // namespace

std::optional<double> mask_brightness_auc(BlockView<const float> v_low,
                                          BlockView<const float> smoothed,
                                          BitView mask,
                                          const ParallelFor& parallel_for) {
  if (v_low.shape.empty()) return std::nullopt;
  const BrightnessCounts counts = count_brightness(v_low, smoothed, mask, parallel_for);
  std::int64_t inside = 0;
  std::int64_t outside = 0;
  double wins = 0.0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const auto here = static_cast<double>(counts.inside[bin]);
    wins += here * (static_cast<double>(outside) + 0.5 * static_cast<double>(counts.outside[bin]));
    inside += counts.inside[bin];
    outside += counts.outside[bin];
  }
  const auto all = static_cast<double>(inside + outside);
  if (std::min(inside, outside) < kFewest ||
      static_cast<double>(outside) < kFewestShareOutside * all)
    return std::nullopt;
  return wins / static_cast<double>(inside) / static_cast<double>(outside);
}

std::optional<double> mask_edge_agreement(BlockView<const float> v_low,
                                          BlockView<const float> smoothed,
                                          BitView mask,
                                          const ParallelFor& parallel_for) {
  constexpr auto kLine = static_cast<std::int64_t>(2 * kReach);
  const Extent3& shape = v_low.shape;
  std::vector<Crossings> found(static_cast<std::size_t>(shape.z));
  parallel_for(shape.z, [&](std::int64_t z) {
    Crossings& here = found[static_cast<std::size_t>(z)];
    for (std::int64_t y = 0; y < shape.y; ++y)
      for (int axis = 0; axis < 3; ++axis) {
        const std::int64_t start = axis == 0 ? z : axis == 1 ? y : 0;
        const std::int64_t left = shape[axis] - start - kLine + 1;
        if (left <= 0) continue;
        const auto row = [&](const auto& volume, std::int64_t k) {
          return volume.row(z + (axis == 0 ? k : 0), y + (axis == 1 ? k : 0)) + (axis == 2 ? k : 0);
        };
        LineRows rows{};
        for (std::size_t k = 0; k < 2 * kReach; ++k) {
          rows.v_low[k] = row(v_low, static_cast<std::int64_t>(k));
          rows.mask[k] = row(mask, static_cast<std::int64_t>(k));
        }
        rows.first = row(smoothed, 0);
        rows.last = row(smoothed, kLine - 1);
        count_crossings(rows, axis == 2 ? left : shape.x, here);
      }
  });
  Crossings total;
  for (const Crossings& part : found) {
    total.count += part.count;
    total.half_wins += part.half_wins;
  }
  if (total.count < kFewest) return std::nullopt;
  return 0.5 * static_cast<double>(total.half_wins) / static_cast<double>(total.count);
}

}  // namespace flatfield::methods
