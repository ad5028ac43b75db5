#include "flatfield/pipeline/item_geometry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace flatfield::pipeline {
namespace {

TEST(ItemGeometryTest, doubles_odd_chunks_so_that_cells_start_on_even_voxels) {
  const ItemGeometry geometry({128, 15, 1});
  EXPECT_EQ(geometry.cell, (Extent3{128, 30, 2}));
  EXPECT_EQ(geometry.item, (Extent3{512, 120, 8}));
  EXPECT_EQ(geometry.carry, (Extent3{64, 15, 1}));
}

TEST(ItemGeometryOfShards, has_whole_shards_of_two_levels_and_whole_cells) {
  const ItemGeometry usual({128, 128, 128}, Extent3{512, 512, 512});
  EXPECT_EQ(usual.depth, 1);
  EXPECT_EQ(usual.item, (Extent3{1024, 1024, 1024}));
  EXPECT_EQ(usual.carry, (Extent3{256, 256, 256}));
  // Cells are two odd chunks: three of them are two shards of three chunks.
  const ItemGeometry odd({15, 16, 1}, Extent3{45, 16, 3});
  EXPECT_EQ(odd.cell, (Extent3{30, 16, 2}));
  EXPECT_EQ(odd.item, (Extent3{180, 32, 12}));
}

TEST(ItemGeometryOfShards, has_carries_of_chunks_that_no_two_cells_share) {
  for (std::int64_t chunk = 1; chunk <= 16; ++chunk)
    for (std::int64_t chunks = 1; chunks <= 9; ++chunks) {
      const ItemGeometry geometry({chunk, chunk, chunk}, Extent3{1, 1, 1} * (chunk * chunks));
      const Extent3 part = geometry.carry_chunk();
      EXPECT_EQ(geometry.cell.z % part.z, 0) << chunk << " " << chunks;
      EXPECT_EQ(geometry.carry.z % part.z, 0) << chunk << " " << chunks;
      // Not smaller than need be: a chunk is made of whole cells, of which each is reduced to half of one.
      EXPECT_GE(2 * part.z, geometry.cell.z) << chunk << " " << chunks;
      EXPECT_EQ(2 * part.z % geometry.cell.z, 0) << chunk << " " << chunks;
    }
}

/// The bits of an index, one of each axis in turn, z first.
std::uint64_t morton_code(const Extent3& index) {
  std::uint64_t code = 0;
  for (int bit = 20; bit >= 0; --bit)
    for (int axis = 0; axis < 3; ++axis)
      code = 2 * code + static_cast<std::uint64_t>((index[axis] >> bit) & 1);
  return code;
}

TEST(MortonOrder, is_that_of_the_bits_of_the_indices_in_turn) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const auto pick = [&](std::int64_t lo, std::int64_t hi) {
    return std::uniform_int_distribution<std::int64_t>(lo, hi)(random);
  };
  for (int trial = 0; trial < 100; ++trial) {
    const std::int64_t longest = pick(1, 20);
    const Extent3 grid{pick(1, longest), pick(1, longest), pick(1, trial == 0 ? 300 : longest)};
    std::vector<Extent3> expected;
    for (std::int64_t i = 0; i < grid.volume(); ++i) expected.push_back(unravel(i, grid));
    std::ranges::sort(expected, {}, morton_code);
    ASSERT_EQ(morton_order(grid), expected) << to_string(grid);
  }
  EXPECT_TRUE(morton_order({0, 3, 3}).empty());
}

TEST(MortonPlace, is_found_in_a_grid_that_is_too_large_to_be_listed) {
  const std::int64_t side = std::int64_t{1} << 20;
  const Extent3 cube{side, side, side};
  EXPECT_EQ(morton_place(cube, 0), (Extent3{0, 0, 0}));
  EXPECT_EQ(morton_place(cube, 6), (Extent3{1, 1, 0}));
  EXPECT_EQ(morton_place(cube, cube.volume() / 2), (Extent3{side / 2, 0, 0}));
  EXPECT_EQ(morton_place(cube, cube.volume() - 1), (Extent3{side - 1, side - 1, side - 1}));
  EXPECT_EQ(morton_place({1, 1, side - 5}, side - 6), (Extent3{0, 0, side - 6}));
}

TEST(PyramidShapes, halve_and_drop_the_odd_plane) {
  EXPECT_EQ(pyramid_shapes({9, 8, 7}, 3), (std::vector<Extent3>{{9, 8, 7}, {4, 4, 3}, {2, 2, 1}}));
  EXPECT_EQ(pyramid_shapes({9, 8, 7}, 1), (std::vector<Extent3>{{9, 8, 7}}));
}

TEST(MostLevels, are_the_floor_of_the_logarithm_of_the_smallest_axis) {
  for (const auto& [smallest, levels] : std::vector<std::pair<std::int64_t, int>>{
           {1, 1}, {2, 1}, {3, 1}, {4, 2}, {7, 2}, {8, 3}, {1023, 9}, {1024, 10}, {10640, 13}}) {
    EXPECT_EQ(most_levels({smallest, 20000, 20000}), levels) << smallest;
    EXPECT_EQ(most_levels({20000, smallest, 20000}), levels) << smallest;
    EXPECT_EQ(most_levels({20000, 20000, smallest}), levels) << smallest;
    // Every level has at least one voxel.
    EXPECT_FALSE(pyramid_shapes({smallest, 20000, 20000}, levels).back().empty());
  }
}

}  // namespace
}  // namespace flatfield::pipeline
