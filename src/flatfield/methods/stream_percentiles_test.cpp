#include "flatfield/methods/stream_percentiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

/// Percentiles of a level by all of its planes, which visits see in boxes of 64 x 64 x 64.
std::vector<RankResult> found_in(BlockView<const float> level, const std::vector<double>& percentages, float most) {
  BlockStream stream(level);
  std::vector<std::int64_t> planes;
  for (std::int64_t z = 0; z < level.shape.z; ++z) planes.push_back(z);
  return percentiles_of_planes(stream, planes, percentages, most, 1 << 16);
}

TEST(StreamPercentiles, are_those_of_all_values_sorted) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  Block<float> level({9, 70, 130});
  for (float& v : level.span()) v = std::exponential_distribution<float>(0.01F)(random);
  const std::vector<double> percentages{50.0, 99.9, 0.0, 100.0, 33.3};
  for (const float most : {16.0F, 1024.0F, 65536.0F}) {
    const std::vector<RankResult> found = found_in(level.view(), percentages, most);
    for (std::size_t i = 0; i < percentages.size(); ++i) {
      EXPECT_EQ(found[i].total, static_cast<std::uint64_t>(level.size()));
      EXPECT_EQ(found[i].linear(), numerics::percentile(level.span(), percentages[i]));
    }
  }
}

TEST(StreamPercentiles, of_values_below_zero_and_beyond_the_range_are_exact_too) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  Block<float> level({3, 50, 100});
  for (float& v : level.span()) v = std::normal_distribution<float>(-20.0F, 3000.0F)(random);
  const std::vector<double> percentages{1.0, 50.0, 99.0};
  const std::vector<RankResult> found = found_in(level.view(), percentages, 1024.0F);
  for (std::size_t i = 0; i < percentages.size(); ++i)
    EXPECT_EQ(found[i].linear(), numerics::percentile(level.span(), percentages[i]));
}

TEST(StreamPercentiles, of_boxes_that_hold_hardly_anything_but_one_value_are_found_all_the_same) {
  // More of them than are handed over at once.
  Block<float> level({40, 64, 128}, 0.0F);
  level.at(3, 4, 5) = 7.5F;
  level.at(39, 63, 127) = 900.0F;
  const std::vector<RankResult> found = found_in(level.view(), {50.0, 100.0}, 1024.0F);
  EXPECT_EQ(found[0].median(), 0.0F);
  EXPECT_EQ(found[1].linear(), 900.0);
  EXPECT_EQ(found[0].total, static_cast<std::uint64_t>(level.size()));
}

}  // namespace
}  // namespace flatfield::methods
