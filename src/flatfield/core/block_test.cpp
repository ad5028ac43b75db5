#include "flatfield/core/block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <numeric>
#include <type_traits>
#include <utility>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/buffer.h"

namespace flatfield {
namespace {

Block<int> counted(const Extent3& shape) {
  Block<int> block(shape);
  std::iota(block.span().begin(), block.span().end(), 0);
  return block;
}

TEST(BlockMemory, is_aligned_and_in_c_order) {
  const Block<int> block = counted({2, 3, 4});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.data()) % 64, 0U);
  EXPECT_EQ(block.at(0, 0, 3), 3);
  EXPECT_EQ(block.at(0, 2, 0), 8);
  EXPECT_EQ(block.at(1, 2, 3), 23);
  EXPECT_EQ(block.view().row(1, 0)[0], 12);
}

TEST(BlockMemory, of_an_empty_shape_is_none) {
  const Block<float> block(Extent3{3, 0, 5});
  EXPECT_TRUE(block.empty());
  EXPECT_TRUE(block.span().empty());
  EXPECT_TRUE(block.clone().empty());
}

TEST(BlockMemory, of_a_shape_that_no_address_reaches_is_none) {
  constexpr std::int64_t kLarge = std::int64_t{1} << 22;
  EXPECT_EQ(memory_of({kLarge, kLarge, 64}, 8), std::size_t{1} << 53);
  // 2^64 and 2^66 bytes, of which the low 64 bits are none.
  EXPECT_THROW(Block<std::uint8_t>({kLarge, kLarge, std::int64_t{1} << 20}), std::bad_alloc);
  EXPECT_THROW(Block<float>({kLarge, kLarge, std::int64_t{1} << 20}), std::bad_alloc);
  EXPECT_THROW(BitVolume({kLarge, kLarge, (std::int64_t{1} << 23) - 1}), std::bad_alloc);
}

TEST(BlockMemory, can_be_filled_with_a_value) {
  const Block<float> block({2, 2, 2}, 1.5F);
  for (const float value : block.span()) EXPECT_EQ(value, 1.5F);
}

TEST(BlockMemory, moves_and_leaves_an_empty_block) {
  Block<int> from = counted({1, 2, 3});
  const int* const data = from.data();
  Block<int> to = std::move(from);
  EXPECT_EQ(to.data(), data);
  EXPECT_EQ(to.shape(), (Extent3{1, 2, 3}));
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  from = std::move(to);
  EXPECT_EQ(from.data(), data);
  EXPECT_TRUE(to.empty());  // NOLINT(bugprone-use-after-move)
}

TEST(BlockMemory, is_copied_by_clone_alone) {
  static_assert(!std::is_copy_constructible_v<Block<int>>);
  Block<int> block = counted({1, 1, 3});
  const Block<int> copy = block.clone();
  block.at(0, 0, 1) = 99;
  EXPECT_EQ(copy.at(0, 0, 1), 1);
}

TEST(BlockView, of_a_part_keeps_the_strides_of_the_whole) {
  Block<int> block = counted({3, 4, 5});
  const BlockView<int> part = block.view().sub({{1, 2, 3}, {2, 2, 2}});
  EXPECT_EQ(part.at(0, 0, 0), block.at(1, 2, 3));
  EXPECT_EQ(part.at(1, 1, 1), block.at(2, 3, 4));
  EXPECT_EQ(part.size(), 8);
  EXPECT_FALSE(part.contiguous());
  part.at(0, 0, 0) = -1;
  EXPECT_EQ(block.at(1, 2, 3), -1);
}

TEST(BlockView, knows_when_it_is_contiguous) {
  Block<int> block = counted({3, 4, 5});
  EXPECT_TRUE(block.view().contiguous());
  EXPECT_TRUE(block.view().sub({{1, 0, 0}, {2, 4, 5}}).contiguous());
  EXPECT_TRUE(block.view().sub({{1, 1, 0}, {1, 2, 5}}).contiguous());
  EXPECT_TRUE(block.view().sub({{1, 1, 1}, {1, 1, 3}}).contiguous());
  EXPECT_FALSE(block.view().sub({{0, 0, 0}, {2, 3, 5}}).contiguous());
  EXPECT_FALSE(block.view().sub({{0, 0, 0}, {1, 2, 4}}).contiguous());
}

TEST(BlockView, of_a_plane_has_one_z_index) {
  const Block<int> block = counted({3, 2, 2});
  const BlockView<const int> plane = block.plane(2);
  EXPECT_EQ(plane.shape, (Extent3{1, 2, 2}));
  EXPECT_EQ(plane.at(0, 1, 1), block.at(2, 1, 1));
}

TEST(CopyBlock, copies_between_views_of_different_strides) {
  const Block<int> from = counted({2, 3, 4});
  Block<int> to({4, 4, 6}, -1);
  const Box3 place{{1, 1, 2}, {2, 3, 4}};
  copy_block(from.view(), to.view().sub(place));
  for (std::int64_t i = 0; i < to.size(); ++i) {
    const Extent3 p = unravel(i, to.shape());
    const Extent3 q = p - place.origin;
    const bool inside = !intersect(place, {p, {1, 1, 1}}).empty();
    EXPECT_EQ(to.at(p.z, p.y, p.x), inside ? from.at(q.z, q.y, q.x) : -1);
  }
}

TEST(BufferBytes, grow_but_keep_their_place_when_they_shrink) {
  Buffer buffer;
  EXPECT_EQ(buffer.size(), 0U);
  std::byte* const large = buffer.resize(1000).data();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large) % 64, 0U);
  EXPECT_EQ(buffer.resize(10).data(), large);
  EXPECT_EQ(buffer.size(), 10U);
  EXPECT_EQ(buffer.resize(1000).data(), large);
  buffer.truncate(3);
  EXPECT_EQ(buffer.size(), 3U);
  buffer.truncate(500);
  EXPECT_EQ(buffer.size(), 3U);
}

TEST(BufferBytes, are_read_as_text) {
  Buffer buffer;
  const std::span<const std::byte> bytes = as_bytes("abc");
  std::copy(bytes.begin(), bytes.end(), buffer.resize(bytes.size()).begin());
  EXPECT_EQ(buffer.text(), "abc");
}

}  // namespace
}  // namespace flatfield
