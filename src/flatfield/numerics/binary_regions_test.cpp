#include "flatfield/numerics/binary_regions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

// tests/python/test_splines_live.py holds these functions against scipy.ndimage.

namespace flatfield::numerics {
namespace {

using Mask = Block<std::uint8_t>;

Mask random_mask(const Extent3& shape, double density, unsigned seed) {
  std::mt19937 generator(seed);
  std::bernoulli_distribution foreground(density);
  std::uniform_int_distribution<int> value(1, 255);
  Mask mask(shape);
  for (std::uint8_t& v : mask.span())
    v = foreground(generator) ? static_cast<std::uint8_t>(value(generator)) : std::uint8_t{0};
  return mask;
}

struct Region {
  std::vector<Extent3> voxels;
  bool at_border = false;
};

/// Regions of the voxels that are (not) 0, by flooding from each voxel in C order.
std::vector<Region> flood_regions(const Mask& mask, bool foreground) {
  const Extent3 shape = mask.shape();
  Mask seen(shape, 0);
  std::vector<Region> regions;
  for (std::int64_t i = 0; i < mask.size(); ++i) {
    Region region;
    std::vector<Extent3> front{unravel(i, shape)};
    while (!front.empty()) {
      const Extent3 at = front.back();
      front.pop_back();
      if (intersect({at, {1, 1, 1}}, {{0, 0, 0}, shape}).empty()) {
        region.at_border = true;
        continue;
      }
      if (seen.at(at.z, at.y, at.x) != 0 || (mask.at(at.z, at.y, at.x) != 0) != foreground)
        continue;
      seen.at(at.z, at.y, at.x) = 1;
      region.voxels.push_back(at);
      for (int axis = 0; axis < 3; ++axis)
        for (const std::int64_t step : {-1, 1}) {
          Extent3 next = at;
          next[axis] += step;
          front.push_back(next);
        }
    }
    if (!region.voxels.empty()) regions.push_back(std::move(region));
  }
  return regions;
}

Mask keep_naively(const Mask& mask, int count) {
  std::vector<Region> regions = flood_regions(mask, true);
  std::stable_sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) {
    return a.voxels.size() > b.voxels.size();
  });
  Mask out(mask.shape(), 0);
  for (std::size_t i = 0;
       i < std::min<std::size_t>(regions.size(), static_cast<std::size_t>(count)); ++i)
    for (const Extent3& at : regions[i].voxels) out.at(at.z, at.y, at.x) = 1;
  return out;
}

Mask fill_naively(const Mask& mask) {
  Mask out = mask.clone();
  for (const Region& region : flood_regions(mask, false))
    if (!region.at_border)
      for (const Extent3& at : region.voxels) out.at(at.z, at.y, at.x) = 1;
  return out;
}

BitVolume bits(const Mask& mask) { return BitVolume(mask.view()); }

/// Shapes with axes of length 1 and with rows longer than one step of the scan.
const std::vector<Extent3> kShapes = {{1, 1, 1},  {1, 1, 70}, {1, 40, 1}, {40, 1, 1},  {1, 13, 17},
                                      {9, 1, 11}, {9, 11, 1}, {6, 7, 8},  {12, 9, 33}, {4, 5, 150}};

TEST(KeepLargestRegions, agrees_with_a_flood_on_random_masks) {
  unsigned seed = 0;
  for (const Extent3& shape : kShapes)
    for (const double density : {0.0, 0.05, 0.2, 0.35, 0.6, 0.95, 1.0})
      for (const int count : {0, 1, 2, 5}) {
        SCOPED_TRACE(++seed);
        const Mask mask = random_mask(shape, density, seed);
        const auto regions = static_cast<std::int64_t>(flood_regions(mask, true).size());
        BitVolume kept = bits(mask);
        EXPECT_EQ(keep_largest_regions(kept, count), regions);
        EXPECT_EQ(kept, bits(keep_naively(mask, count)));
      }
}

TEST(KeepLargestRegions, of_equal_size_keeps_the_ones_that_come_first) {
  BitVolume mask({3, 5, 9});
  for (const std::int64_t z : {0, 2})
    for (const std::int64_t y : {0, 2, 4}) mask.fill(z, y, 4, 6, true);
  EXPECT_EQ(keep_largest_regions(mask, 2), 6);
  EXPECT_EQ(mask.count(), 4);
  EXPECT_TRUE(mask.at(0, 0, 4));
  EXPECT_TRUE(mask.at(0, 2, 5));
}

TEST(KeepLargestRegions, follows_a_region_that_only_joins_at_its_end) {
  // A comb in every plane: its teeth are separate regions until the last row.
  Mask mask({4, 20, 41}, 0);
  for (std::int64_t y = 0; y < 20; ++y)
    for (std::int64_t x = 0; x < 41; ++x) mask.at(3, y, x) = x % 2 == 0 || y == 19 ? 1 : 0;
  mask.at(0, 0, 0) = 1;
  BitVolume kept = bits(mask);
  EXPECT_EQ(keep_largest_regions(kept, 1), 2);
  EXPECT_EQ(kept, bits(keep_naively(mask, 1)));
}

TEST(FillHoles, agrees_with_a_flood_on_random_masks) {
  unsigned seed = 1000;
  for (const Extent3& shape : kShapes)
    for (const double density : {0.0, 0.3, 0.5, 0.7, 0.8, 0.95, 1.0})
      for (int repeat = 0; repeat < 4; ++repeat) {
        SCOPED_TRACE(++seed);
        const Mask mask = random_mask(shape, density, seed);
        BitVolume filled = bits(mask);
        fill_holes(filled);
        EXPECT_EQ(filled, bits(fill_naively(mask)));
      }
}

TEST(FillHoles, fills_a_shell_but_not_one_with_a_leak) {
  Mask shell({5, 5, 5}, 0);
  for (std::int64_t i = 0; i < shell.size(); ++i) {
    const Extent3 at = unravel(i, shell.shape());
    shell.data()[i] =
        std::min({at.z, at.y, at.x}) >= 1 && std::max({at.z, at.y, at.x}) <= 3 ? 1 : 0;
  }
  shell.at(2, 2, 2) = 0;
  BitVolume filled = bits(shell);
  fill_holes(filled);
  EXPECT_TRUE(filled.at(2, 2, 2));
  EXPECT_EQ(filled.count(), 27);
  BitVolume leaking = bits(shell);
  leaking.set(2, 2, 3, false);
  fill_holes(leaking);
  EXPECT_FALSE(leaking.at(2, 2, 2));
  EXPECT_EQ(leaking.count(), 25);
}

TEST(BinaryRegions, of_an_empty_volume_are_none) {
  BitVolume mask({0, 4, 4});
  EXPECT_EQ(keep_largest_regions(mask, 2), 0);
  EXPECT_NO_THROW(fill_holes(mask));
}

}  // namespace
}  // namespace flatfield::numerics
