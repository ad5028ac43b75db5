#include "flatfield/core/bit_volume.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace flatfield {
namespace {

/// A volume of 0 and other values, and the bits of it.
struct Sample {
  Block<std::uint8_t> bytes;
  BitVolume bits;

  Sample(const Extent3& shape, unsigned one_in, std::mt19937& random) : bytes(shape) {
    for (std::uint8_t& v : bytes.span()) v = static_cast<std::uint8_t>(random() % one_in == 0 ? 1 + random() % 255 : 0);
    bits = BitVolume(bytes.view());
  }
  [[nodiscard]] bool is_set(std::int64_t z, std::int64_t y, std::int64_t x) const { return bytes.at(z, y, x) != 0; }
};

/// A box inside a shape that begins and ends anywhere.
Box3 random_box(const Extent3& shape, std::mt19937& random) {
  Box3 box;
  for (int axis = 0; axis < 3; ++axis) {
    box.origin[axis] = static_cast<std::int64_t>(random() % static_cast<unsigned>(shape[axis]));
    box.shape[axis] = 1 + static_cast<std::int64_t>(random() % static_cast<unsigned>(shape[axis] - box.origin[axis]));
  }
  return box;
}

/// Calls check(sample, box, random) with volumes whose rows end before, at and behind a word.
template <class Check>
void for_random_volumes(Check check) {
  unsigned seed = 0;
  for (const std::int64_t width : {1, 7, 63, 64, 65, 127, 128, 129, 300})
    for (const unsigned one_in : {1U, 2U, 5U, 90U}) {
      SCOPED_TRACE(testing::Message() << "seed " << ++seed << ", width " << width);
      std::mt19937 random(seed);
      const Sample sample({3, 4, width}, one_in, random);
      for (int repeat = 0; repeat < 20; ++repeat) check(sample, random_box(sample.bytes.shape(), random), random);
    }
}

TEST(BitVolume, holds_which_voxels_are_not_zero) {
  for_random_volumes([](const Sample& sample, const Box3& box, std::mt19937&) {
    const BitView view = sample.bits.view().sub(box);
    Block<std::uint8_t> expanded(box.shape);
    view.expand(expanded.view());
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < box.shape.volume(); ++i) {
      const Extent3 p = unravel(i, box.shape);
      const Extent3 q = p + box.origin;
      ASSERT_EQ(view.at(p.z, p.y, p.x), sample.is_set(q.z, q.y, q.x)) << to_string(q);
      ASSERT_EQ(expanded.at(p.z, p.y, p.x), sample.is_set(q.z, q.y, q.x) ? 1 : 0) << to_string(q);
      count += sample.is_set(q.z, q.y, q.x) ? 1 : 0;
    }
    EXPECT_EQ(view.count(), count);
    EXPECT_EQ(view.any(), count > 0);
  });
}

TEST(BitRow, finds_the_next_voxel_that_is_set_or_clear) {
  for_random_volumes([](const Sample& sample, const Box3& box, std::mt19937& random) {
    const BitRow row = sample.bits.view().sub(box).row(0, 0);
    const std::uint8_t* bytes = sample.bytes.view().sub(box).row(0, 0);
    const std::int64_t end = box.shape.x;
    const auto x = static_cast<std::int64_t>(random() % static_cast<unsigned>(end + 1));
    const auto is_zero = [](std::uint8_t v) { return v == 0; };
    EXPECT_EQ(row.find_set(x, end), std::find_if_not(bytes + x, bytes + end, is_zero) - bytes);
    EXPECT_EQ(row.find_clear(x, end), std::find_if(bytes + x, bytes + end, is_zero) - bytes);
    const std::int64_t count = std::min<std::int64_t>(end - x, 64);
    if (count == 0) return;
    const std::uint64_t bits = row.bits(x, count);
    for (std::int64_t i = 0; i < 64; ++i)
      ASSERT_EQ((bits >> i) & 1, i < count && bytes[x + i] != 0 ? 1U : 0U);
  });
}

TEST(BitVolume, changes_only_the_voxels_it_is_told_to) {
  for_random_volumes([](const Sample& sample, const Box3& box, std::mt19937& random) {
    const std::int64_t z = box.origin.z;
    const std::int64_t y = box.origin.y;
    const std::int64_t begin = box.origin.x;
    const std::int64_t end = box.end().x;
    Block<std::uint8_t> bytes = sample.bytes.clone();
    BitVolume bits = sample.bits.clone();
    const bool value = random() % 2 == 0;
    bits.fill(z, y, begin, end, value);
    std::fill(bytes.view().row(z, y) + begin, bytes.view().row(z, y) + end, value ? 1 : 0);
    ASSERT_EQ(bits, BitVolume(bytes.view()));

    std::vector<std::uint16_t> row(static_cast<std::size_t>(end - begin));
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = random() % 2 == 0 ? 0 : 256;
      bytes.at(z, y, begin + static_cast<std::int64_t>(i)) = row[i] != 0 ? 1 : 0;
    }
    bits.set_row(z, y, begin, row.data(), end - begin);
    ASSERT_EQ(bits, BitVolume(bytes.view()));

    const auto count = std::min<std::int64_t>(64, end - begin);
    bits.set_bits(z, y, begin, count, low_bits(count));
    std::fill_n(bytes.view().row(z, y) + begin, count, std::uint8_t{1});
    ASSERT_EQ(bits, BitVolume(bytes.view()));
  });
}

TEST(BitVolume, is_cleared_in_a_box_where_values_are_zero) {
  for_random_volumes([](const Sample& sample, const Box3& box, std::mt19937& random) {
    Block<float> values(box.shape);
    for (float& v : values.span()) v = random() % 3 == 0 ? 0.0F : random() % 2 == 0 ? 1e-45F : -0.0F;
    Block<std::uint8_t> bytes = sample.bytes.clone();
    for (std::int64_t i = 0; i < values.size(); ++i) {
      const Extent3 p = unravel(i, box.shape) + box.origin;
      if (values.data()[i] == 0.0F) bytes.at(p.z, p.y, p.x) = 0;
    }
    BitVolume bits = sample.bits.clone();
    bits.clear_where_zero(box.origin, values.view());
    ASSERT_EQ(bits, BitVolume(bytes.view()));
  });
}

TEST(BitVolume, copies_rows_between_planes) {
  std::mt19937 random(1);
  const Sample sample({2, 3, 100}, 2, random);
  BitVolume bits = sample.bits.clone();
  bits.copy_row(0, 1, 1, 2);
  for (std::int64_t x = 0; x < 100; ++x) EXPECT_EQ(bits.at(1, 2, x), sample.is_set(0, 1, x));
  EXPECT_EQ(bits.row(1, 1).count_set(100), sample.bits.row(1, 1).count_set(100));
}

TEST(BitVolume, begins_with_one_value) {
  EXPECT_EQ(BitVolume({2, 3, 70}).count(), 0);
  EXPECT_EQ(BitVolume({2, 3, 70}, true).count(), 420);
  EXPECT_EQ(BitVolume({2, 3, 70}, true), BitVolume(Block<std::uint8_t>({2, 3, 70}, 9).view()));
}

TEST(BitVolume, takes_an_eighth_of_the_bytes) {
  EXPECT_EQ(BitVolume::bytes_of({4, 5, 640}), 4 * 5 * 80);
  EXPECT_EQ(BitVolume::bytes_of({4, 5, 1}), 4 * 5 * 8);
  EXPECT_EQ(BitVolume::bytes_of({4, 0, 1}), 0);
}

TEST(BitVolume, that_was_moved_is_empty) {
  BitVolume bits({2, 3, 4}, true);
  const BitVolume taken = std::move(bits);
  EXPECT_EQ(taken.count(), 24);
  EXPECT_TRUE(bits.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(bits, BitVolume());
}

}  // namespace
}  // namespace flatfield
