#include "flatfield/pipeline/packed_mask.h"

#include <gtest/gtest.h>

#include <random>

namespace flatfield::pipeline {
namespace {

TEST(PackedMask, gives_back_the_mask_that_it_was_made_of) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  // The last holds more than two parts.
  for (const Extent3& shape : {Extent3{0, 3, 3}, Extent3{1, 1, 1}, Extent3{5, 7, 65}, Extent3{70, 300, 1000}}) {
    BitVolume mask(shape);
    for (auto& word : mask.words()) word = (std::uint64_t{random()} << 32) | random();
    const PackedMask packed(mask);
    EXPECT_EQ(packed.shape(), shape);
    EXPECT_EQ(packed.unpacked(), mask);
    EXPECT_LE(packed.bytes(), BitVolume::bytes_of(shape) * 1001 / 1000 + 64) << "what cannot be compressed";
  }
}

TEST(PackedMask, is_small_where_the_mask_is_of_large_pieces) {
  BitVolume mask({100, 200, 640});
  for (std::int64_t z = 20; z < 70; ++z)
    for (std::int64_t y = 0; y < 200; ++y) mask.fill(z, y, y / 2, 500, true);
  const PackedMask packed(mask);
  EXPECT_EQ(packed.unpacked(), mask);
  EXPECT_LT(packed.bytes(), BitVolume::bytes_of(mask.shape()) / 50);
}

}  // namespace
}  // namespace flatfield::pipeline
