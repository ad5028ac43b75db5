#include "flatfield/methods/mask_agreement.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "flatfield/numerics/gaussian_block.h"

namespace flatfield::methods {
namespace {

constexpr std::int64_t kFewest = 100;
constexpr double kFewestShareOutside = 0.01;
constexpr std::array<double, 3> kSigma{1.0, 1.0, 1.0};

// Floats that are not negative are ordered like their bits: 8 of the exponent and 9 of the mantissa
// remain.
constexpr int kDroppedBits = 14;
constexpr std::size_t kBins = std::size_t{1} << (31 - kDroppedBits);
std::size_t brightness_bin(float value) {
  return std::bit_cast<std::uint32_t>(std::max(value, 0.0F)) >> kDroppedBits;
}

constexpr std::size_t kSide = 3;  ///< voxels on each side of a crossing
static_assert(2 * kSide == EdgeAgreement::kReach + 1);

using Crossings = EdgeAgreement::Crossings;

/// Six voxels in a line, at the same place of six rows.
struct LineRows {
  std::array<const float*, 2 * kSide> v_low;
  std::array<BitRow, 2 * kSide> mask;
  const float* first;  ///< smoothed
  const float* last;
};

void count_crossings(const LineRows& rows, std::int64_t n, Crossings& found) {
  for (std::int64_t stretch = 0; stretch < n; stretch += 64) {
    const std::int64_t count = std::min<std::int64_t>(64, n - stretch);
    std::uint64_t entering = low_bits(count);  // bit i: the line at stretch + i enters the mask
    std::uint64_t leaving = entering;
    for (std::size_t k = 0; k < 2 * kSide; ++k) {
      const std::uint64_t inside = rows.mask[k].bits(stretch, count);
      entering &= k < kSide ? ~inside : inside;
      leaving &= k < kSide ? inside : ~inside;
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

BrightnessAuc::BrightnessAuc(BitView mask, int workers)
    : mask_(mask),
      counts_(static_cast<std::size_t>(workers),
              {std::vector<std::int64_t>(kBins), std::vector<std::int64_t>(kBins)}) {}

void BrightnessAuc::add(const Box3& box, BlockView<const float> v_low, BlockView<const float> smoothed,
                        int worker) {
  Counts& mine = counts_[static_cast<std::size_t>(worker)];
  const BitView mask = mask_.sub(box);
  for (std::int64_t z = 0; z < box.shape.z; ++z)
    for (std::int64_t y = 0; y < box.shape.y; ++y) {
      const float* v = v_low.row(z, y);
      const float* s = smoothed.row(z, y);
      const BitRow m = mask.row(z, y);
      for (std::int64_t x = 0; x < box.shape.x; ++x)
        if (v[x] != 0.0F) ++(m[x] ? mine.inside : mine.outside)[brightness_bin(s[x])];
    }
}

std::optional<double> BrightnessAuc::value(const Merge& merge) const {
  Counts all{std::vector<std::int64_t>(kBins), std::vector<std::int64_t>(kBins)};
  for (const Counts& part : counts_)
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      all.inside[bin] += part.inside[bin];
      all.outside[bin] += part.outside[bin];
    }
  merge.sum(all.inside);
  merge.sum(all.outside);
  std::int64_t inside = 0;
  std::int64_t outside = 0;
  double wins = 0.0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const std::int64_t inside_here = all.inside[bin];
    const std::int64_t outside_here = all.outside[bin];
    wins += static_cast<double>(inside_here) *
            (static_cast<double>(outside) + 0.5 * static_cast<double>(outside_here));
    inside += inside_here;
    outside += outside_here;
  }
  const auto voxels = static_cast<double>(inside + outside);
  if (std::min(inside, outside) < kFewest ||
      static_cast<double>(outside) < kFewestShareOutside * voxels)
    return std::nullopt;
  return wins / static_cast<double>(inside) / static_cast<double>(outside);
}

EdgeAgreement::EdgeAgreement(BitView mask, int workers)
    : mask_(mask), found_(static_cast<std::size_t>(workers)) {}

void EdgeAgreement::add(const Box3& box, const Box3& seen, BlockView<const float> v_low,
                        BlockView<const float> smoothed, int worker) {
  constexpr auto kLine = static_cast<std::int64_t>(2 * kSide);
  const BitView mask = mask_.sub(seen);
  const Extent3 first = box.origin - seen.origin;
  Crossings& here = found_[static_cast<std::size_t>(worker)];
  for (std::int64_t z = first.z; z < first.z + box.shape.z; ++z)
    for (std::int64_t y = first.y; y < first.y + box.shape.y; ++y)
      for (int axis = 0; axis < 3; ++axis) {
        const std::int64_t start = axis == 0 ? z : axis == 1 ? y : first.x;
        const std::int64_t left = seen.shape[axis] - start - kLine + 1;
        if (left <= 0) continue;
        const auto row = [&](const auto& volume, std::int64_t k) {
          return volume.row(z + (axis == 0 ? k : 0), y + (axis == 1 ? k : 0)) + (first.x + (axis == 2 ? k : 0));
        };
        LineRows rows{};
        for (std::size_t k = 0; k < 2 * kSide; ++k) {
          rows.v_low[k] = row(v_low, static_cast<std::int64_t>(k));
          rows.mask[k] = row(mask, static_cast<std::int64_t>(k));
        }
        rows.first = row(smoothed, 0);
        rows.last = row(smoothed, kLine - 1);
        count_crossings(rows, axis == 2 ? std::min(left, box.shape.x) : box.shape.x, here);
      }
}

std::optional<double> EdgeAgreement::value(const Merge& merge) const {
  Crossings total;
  for (const Crossings& part : found_) {
    total.count += part.count;
    total.half_wins += part.half_wins;
  }
  std::array<std::int64_t, 2> sums{total.count, total.half_wins};
  merge.sum(sums);
  total = {sums[0], sums[1]};
  if (total.count < kFewest) return std::nullopt;
  return 0.5 * static_cast<double>(total.half_wins) / static_cast<double>(total.count);
}

namespace {

/// Adds a box of the pass; `v_low` is of all that is seen of it.
void add_box(const LevelBlock& block, BlockView<const float> v_low, BitView mask, BrightnessAuc& auc,
             EdgeAgreement& edges) {
  const Box3 inner = block.inner();
  const BlockView<float> smoothed = block.spare[1];
  copy_block<float>(v_low, smoothed);
  numerics::gaussian_filter_block(smoothed, inner, kSigma);
  auc.add(block.box, v_low.sub(inner), smoothed.sub(inner), block.worker);
  constexpr std::int64_t kReach = EdgeAgreement::kReach;
  const Box3 reached = intersect({inner.origin, inner.shape + Extent3{kReach, kReach, kReach}},
                                 {{0, 0, 0}, block.seen.shape});
  // Most boxes lie inside or outside as a whole.
  const std::int64_t in_mask = mask.sub({block.box.origin, reached.shape}).count();
  if (in_mask == 0 || in_mask == reached.shape.volume()) return;
  copy_block<float>(block.values, smoothed);
  numerics::gaussian_filter_block(smoothed, reached, kSigma);
  edges.add(block.box, {block.box.origin, reached.shape}, v_low.sub(reached), smoothed.sub(reached), block.worker);
}

}  // namespace

MaskAgreement measure_mask_agreement(LevelStream& raw, const LevelChange& to_before, BitView mask,
                                     std::vector<PlaneRange> planes) {
  BrightnessAuc auc(mask, raw.workers());
  EdgeAgreement edges(mask, raw.workers());
  LevelPass pass = agreement_pass();
  pass.planes = std::move(planes);
  raw.visit(pass, [&](const LevelBlock& block) {
    const BlockView<float> v_low = block.spare[0];
    copy_block<float>(block.values, v_low);
    if (to_before) to_before(block.seen, v_low);
    add_box(block, v_low, mask, auc, edges);
  });
  return {auc.value(raw.merge()), edges.value(raw.merge())};
}

LevelPass agreement_pass() {
  constexpr std::int64_t kHalo = EdgeAgreement::kReach + 4;  // and that of the Gaussian
  return {{kHalo, kHalo, kHalo}, 2, {}};
}

}  // namespace flatfield::methods
