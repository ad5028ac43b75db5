#include "flatfield/numerics/mask_erosion.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

Block<std::uint8_t> random_mask(const Extent3& shape, unsigned one_in, std::mt19937& random) {
  Block<std::uint8_t> mask(shape);
  for (std::uint8_t& m : mask.span()) m = random() % one_in == 0 ? 0 : 255;
  return mask;
}

/// Every voxel of the ball looked at.
bool ball_fits(const Block<std::uint8_t>& mask, const Extent3& at, std::int64_t radius,
               BeyondBorder beyond) {
  for (std::int64_t z = -radius; z <= radius; ++z)
    for (std::int64_t y = -radius; y <= radius; ++y)
      for (std::int64_t x = -radius; x <= radius; ++x) {
        if (z * z + y * y + x * x > radius * radius) continue;
        const Extent3 p = at + Extent3{z, y, x};
        if (intersect({p, {1, 1, 1}}, {{0, 0, 0}, mask.shape()}).empty()) {
          if (beyond == BeyondBorder::kBackground) return false;
          continue;
        }
        if (mask.at(p.z, p.y, p.x) == 0) return false;
      }
  return true;
}

TEST(ErodeByBall, equals_the_naive_search) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto size = [&](unsigned most) { return static_cast<std::int64_t>(1 + random() % most); };
    const Extent3 shape = seed % 4 == 0 ? Extent3{60 + size(100), size(20), size(6)} : Extent3{size(12), size(40), size(20)};
    const Block<std::uint8_t> mask = random_mask(shape, 5 + random() % 400, random);
    const auto radius = static_cast<std::int64_t>(random() % 5);
    for (const BeyondBorder beyond : {BeyondBorder::kBackground, BeyondBorder::kForeground}) {
      const BitVolume eroded =
          erode_by_ball(BitVolume(mask.view()).view(), radius, serial_for, beyond);
      for (std::int64_t i = 0; i < mask.size(); ++i) {
        const Extent3 p = unravel(i, mask.shape());
        ASSERT_EQ(eroded.at(p.z, p.y, p.x), ball_fits(mask, p, radius, beyond))
            << "at " << to_string(p) << " radius " << radius;
      }
    }
  }
}

TEST(ErodeByBall, of_a_ball_that_is_wider_than_what_is_eroded_at_once_equals_the_naive_search) {
  std::mt19937 random(5);
  const Block<std::uint8_t> mask = random_mask({300, 3, 2}, 290, random);
  for (const std::int64_t radius : {70, 149}) {
    const BitVolume eroded = erode_by_ball(BitVolume(mask.view()).view(), radius, serial_for, BeyondBorder::kForeground);
    for (std::int64_t i = 0; i < mask.size(); ++i) {
      const Extent3 p = unravel(i, mask.shape());
      ASSERT_EQ(eroded.at(p.z, p.y, p.x), ball_fits(mask, p, radius, BeyondBorder::kForeground)) << to_string(p) << ' ' << radius;
    }
  }
}

TEST(ErodeByBall, takes_what_lies_beyond_the_border_for_background) {
  const BitVolume eroded = erode_by_ball(BitVolume({7, 7, 7}, true).view(), 3, serial_for);
  EXPECT_TRUE(eroded.at(3, 3, 3));
  EXPECT_EQ(eroded.count(), 1);
}

TEST(ErodeByBall, of_a_ball_wider_than_the_volume_is_empty) {
  const BitVolume mask({50, 4, 50}, true);
  for (const std::int64_t radius : {std::int64_t{2}, std::int64_t{1} << 40})
    EXPECT_EQ(erode_by_ball(mask.view(), radius, serial_for).count(), 0);
}

TEST(ErodeByBall, takes_it_for_foreground_if_asked_to) {
  const BitVolume mask({1, 5, 4}, true);
  EXPECT_EQ(erode_by_ball(mask.view(), 50, serial_for, BeyondBorder::kForeground), mask);
}

TEST(ErodeByBall, of_radius_zero_keeps_the_mask_and_refuses_less) {
  std::mt19937 random(3);
  const BitVolume mask(random_mask({3, 20, 5}, 2, random).view());
  EXPECT_EQ(erode_by_ball(mask.view(), 0, serial_for), mask);
  EXPECT_THROW((void)erode_by_ball(mask.view(), -1, serial_for), Error);
}

TEST(ErodeByBall, does_not_depend_on_the_number_of_threads) {
  std::mt19937 random(9);
  const BitVolume mask(random_mask({20, 90, 30}, 500, random).view());
  const BitVolume one = erode_by_ball(mask.view(), 2, serial_for);
  const BitVolume four = erode_by_ball(
      mask.view(), 2, [](std::int64_t count, const std::function<void(std::int64_t)>& body) {
        std::vector<std::jthread> threads;
        for (std::int64_t t = 0; t < 4; ++t)
          threads.emplace_back([=, &body] {
            for (std::int64_t i = t; i < count; i += 4) body(i);
          });
      });
  EXPECT_EQ(one, four);
}

}  // namespace
}  // namespace flatfield::numerics
