#include "flatfield/numerics/ball_erosion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

bool survives(const Block<std::uint8_t>& mask, const Extent3& at, std::int64_t radius) {
  for (std::int64_t i = 0; i < mask.size(); ++i) {
    const Extent3 d = unravel(i, mask.shape()) - at;
    if (d.z * d.z + d.y * d.y + d.x * d.x <= radius * radius && mask.data()[i] == 0) return false;
  }
  return true;
}

TEST(BallErosion, keeps_the_voxels_whose_ball_is_all_foreground) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    const auto size = [&](unsigned most) { return static_cast<std::int64_t>(1 + random() % most); };
    const Extent3 shape{seed % 2 == 0 ? 1 : size(6), size(14), size(14)};
    const auto radius = static_cast<std::int64_t>(random() % 6);
    SCOPED_TRACE("seed " + std::to_string(seed) + ", shape " + to_string(shape) + ", radius " +
                 std::to_string(radius));
    Block<std::uint8_t> mask(shape);
    const auto sparse = 2 + random() % 60;
    for (std::uint8_t& m : mask.span()) m = random() % sparse == 0 ? 0 : 1;
    const Block<std::uint8_t> eroded = erode_inside_border(mask.view(), radius);
    for (std::int64_t i = 0; i < mask.size(); ++i)
      ASSERT_EQ(eroded.data()[i], survives(mask, unravel(i, shape), radius) ? 1 : 0) << i;
  }
}

TEST(BallErosion, takes_what_lies_beyond_the_border_for_foreground) {
  const Block<std::uint8_t> mask({2, 3, 4}, 1);
  const Block<std::uint8_t> eroded = erode_inside_border(mask.view(), 50);
  EXPECT_TRUE(
      std::all_of(eroded.span().begin(), eroded.span().end(), [](auto m) { return m == 1; }));
}

TEST(BallErosion, refuses_a_negative_radius) {
  const Block<std::uint8_t> mask({1, 1, 1}, 1);
  EXPECT_THROW((void)erode_inside_border(mask.view(), -1), Error);
}

}  // namespace
}  // namespace flatfield::numerics
