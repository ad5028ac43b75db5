#include "flatfield/methods/background.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "flatfield/core/error.h"
#include "flatfield/core/parallel.h"
#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::methods {
namespace {

using Planes = std::vector<std::int64_t>;

/// A plane of 10 x 10 voxels: `bright` of them `high`, the others 0.
void fill_plane(Block<float>& volume, std::int64_t z, std::int64_t bright, float high,
                float low = 0.0F) {
  const std::int64_t size = volume.shape().y * volume.shape().x;
  for (std::int64_t i = 0; i < size; ++i) volume.data()[z * size + i] = i < bright ? high : low;
}

/// 100 planes, all with so wide a spread that none is background.
Block<float> bright_volume() {
  Block<float> volume({100, 10, 10});
  for (std::int64_t z = 0; z < 100; ++z) fill_plane(volume, z, 50, 2000.0F + static_cast<float>(z));
  return volume;
}

/// docs/methods.md 1, steps 2 to 4, word by word.
BackgroundPlanes select_naively(const Block<float>& volume) {
  const std::int64_t size = volume.shape().y * volume.shape().x;
  const auto of_planes = [&](const Planes& planes) {
    std::vector<double> values;
    for (const std::int64_t z : planes)
      for (std::int64_t i = 0; i < size; ++i) values.push_back(volume.data()[z * size + i]);
    return values;
  };
  const auto deviation = [](const std::vector<double>& values) {
    const auto n = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    double sum = 0;
    for (const double v : values) sum += (v - mean) * (v - mean);
    return std::sqrt(sum / n);
  };
  const auto percentile = [](std::vector<double> values, double q) {
    std::sort(values.begin(), values.end());
    const double position = q / 100.0 * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] +
           (position - static_cast<double>(below)) * (values[above] - values[below]);
  };

  std::vector<double> s;
  for (std::int64_t z = 0; z < volume.shape().z; ++z) s.push_back(deviation(of_planes({z})));
  const double limit = percentile(s, 5.0);
  BackgroundPlanes result;
  for (std::size_t z = 0; z < s.size(); ++z)
    if (s[z] <= limit) result.initial.push_back(static_cast<std::int64_t>(z));
  Planes kept = result.initial;
  for (result.rounds = 0; result.rounds < 100 && !kept.empty();) {
    ++result.rounds;
    const std::vector<double> all = of_planes(kept);
    const double threshold = percentile(all, 50.0) + 3.0 * deviation(all);
    Planes remaining;
    for (const std::int64_t z : kept) {
      const std::vector<double> values = of_planes({z});
      const auto above =
          std::count_if(values.begin(), values.end(), [&](double v) { return v > threshold; });
      if (static_cast<double>(above) / static_cast<double>(values.size()) <= 0.01)
        remaining.push_back(z);
    }
    const double dropped =
        static_cast<double>(kept.size() - remaining.size()) / static_cast<double>(kept.size());
    kept = remaining;
    if (dropped < 0.0001) break;
  }
  result.all_rejected = kept.empty();
  result.planes = kept.empty() ? result.initial : kept;
  return result;
}

/// Of a stream in boxes of a few voxels; without memory for more than a few bins.
BackgroundPlanes select(const Block<float>& volume, std::int64_t bytes = 0) {
  BlockStream stream(volume.view(), {7, 5, 4});
  return select_background_planes(stream, 0.0, bytes);
}

TEST(BackgroundPlanes, are_those_of_lowest_deviation) {
  Block<float> volume = bright_volume();
  for (const std::int64_t z : {3, 40, 41, 77, 99}) fill_plane(volume, z, 50, 1.0F);
  const BackgroundPlanes found = select(volume);
  EXPECT_EQ(found.initial, (Planes{3, 40, 41, 77, 99}));
  EXPECT_EQ(found.planes, found.initial);
  EXPECT_EQ(found.rounds, 1);
  EXPECT_FALSE(found.all_rejected);
}

TEST(BackgroundPlanes, with_many_bright_voxels_are_rejected_round_by_round) {
  Block<float> volume({200, 10, 10});
  for (std::int64_t z = 0; z < 200; ++z) fill_plane(volume, z, 50, 60000.0F + static_cast<float>(z));
  // Ten quiet planes. The brightest spot hides the weaker one until its plane is gone.
  for (const std::int64_t z : {10, 11, 12, 13, 14, 15, 16, 17}) fill_plane(volume, z, 50, 1.0F);
  fill_plane(volume, 18, 2, 100.0F);
  fill_plane(volume, 19, 2, 10000.0F);
  const BackgroundPlanes found = select(volume);
  EXPECT_EQ(found.initial, (Planes{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}));
  EXPECT_EQ(found.planes, (Planes{10, 11, 12, 13, 14, 15, 16, 17}));
  EXPECT_EQ(found.rounds, 3) << "one for each of the two planes, and one that drops none";
}

TEST(BackgroundPlanes, may_have_one_percent_of_bright_voxels) {
  Block<float> volume = bright_volume();
  for (const std::int64_t z : {1, 2, 3, 4}) fill_plane(volume, z, 50, 1.0F);
  fill_plane(volume, 5, 1, 10000.0F);
  EXPECT_EQ(select(volume).planes, (Planes{1, 2, 3, 4, 5}));
  fill_plane(volume, 5, 2, 10000.0F);
  EXPECT_EQ(select(volume).planes, (Planes{1, 2, 3, 4}));
}

TEST(BackgroundPlanes, fall_back_to_the_initial_set_when_all_are_rejected) {
  Block<float> volume({20, 10, 10});
  for (std::int64_t z = 0; z < 20; ++z) fill_plane(volume, z, 50, 60000.0F + static_cast<float>(z));
  fill_plane(volume, 7, 2, 100.0F);
  const BackgroundPlanes found = select(volume);
  EXPECT_EQ(found.initial, Planes{7});
  EXPECT_EQ(found.planes, Planes{7});
  EXPECT_TRUE(found.all_rejected);
  EXPECT_EQ(found.rounds, 1);
}

TEST(BackgroundPlanes, of_a_constant_volume_are_all_planes) {
  const Block<float> volume({4, 3, 2}, 5.0F);
  const BackgroundPlanes found = select(volume);
  EXPECT_EQ(found.planes, (Planes{0, 1, 2, 3}));
  EXPECT_FALSE(found.all_rejected);
}

TEST(BackgroundPlanes, of_a_single_plane_is_that_plane) {
  Block<float> volume({1, 10, 10});
  fill_plane(volume, 0, 50, 10.0F);
  EXPECT_EQ(select(volume).planes, Planes{0});
}

TEST(BackgroundPlanes, of_an_empty_volume_is_an_error) {
  const Block<float> volume({0, 3, 2});
  EXPECT_THROW((void)select(volume), Error);
}

TEST(BackgroundPlanes, equal_those_of_a_naive_search) {
  std::int64_t rounds = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    Block<float> volume({20 + static_cast<std::int64_t>(random() % 300), 9, 11});
    for (std::int64_t z = 0; z < volume.shape().z; ++z) {
      // Quiet planes with a few bright voxels have as low a deviation as noisy ones without.
      const auto bright = static_cast<std::int64_t>(random() % 4);
      const auto high = static_cast<float>(random() % 200) / 10.0F;
      const auto noise = static_cast<float>(1 + random() % 200) / 1000.0F;
      for (std::int64_t i = 0; i < 99; ++i)
        volume.data()[z * 99 + i] =
            (i < bright ? high : 0.0F) + noise * static_cast<float>(random() % 100);
    }
    const BackgroundPlanes found = select(volume, seed % 2 == 0 ? 0 : 1 << 20);
    const BackgroundPlanes expected = select_naively(volume);
    EXPECT_EQ(found.initial, expected.initial);
    EXPECT_EQ(found.planes, expected.planes);
    EXPECT_EQ(found.rounds, expected.rounds);
    EXPECT_EQ(found.all_rejected, expected.all_rejected);
    rounds += found.rounds;
  }
  EXPECT_GT(rounds, 70) << "the volumes should need rejection";
}

TEST(BackgroundPlanes, of_a_smoothed_level_are_those_of_the_level_smoothed_as_a_whole) {
  std::mt19937 random(5);
  Block<float> volume({70, 13, 15});
  for (float& v : volume.span()) v = static_cast<float>(random() % 1000);
  BlockStream stream(volume.view(), {7, 5, 64});
  const BackgroundPlanes found = select_background_planes(stream, 1.3, 1000);
  numerics::gaussian_filter(volume.view(), {1.3, 1.3, 1.3}, serial_for);
  const BackgroundPlanes expected = select_naively(volume);
  EXPECT_EQ(found.initial, expected.initial);
  EXPECT_EQ(found.planes, expected.planes);
}

TEST(MappedPlanes, are_the_same_planes_at_the_same_level) {
  EXPECT_EQ(map_planes({0, 3, 9}, {1.0, 0.0}, {1.0, 0.0}, 10), (Planes{0, 3, 9}));
}

TEST(MappedPlanes, cover_the_finer_planes_of_a_coarse_one) {
  EXPECT_EQ(map_planes({1}, {8.0, 0.0}, {1.0, 0.0}, 100), (Planes{8, 9, 10, 11, 12, 13, 14, 15}));
}

TEST(MappedPlanes, hold_the_coarser_plane_of_several_fine_ones_once) {
  EXPECT_EQ(map_planes({0, 1, 2, 5}, {1.0, 0.0}, {4.0, 0.0}, 10), (Planes{0, 1}));
}

TEST(MappedPlanes, are_united_and_sorted) {
  EXPECT_EQ(map_planes({4, 3, 3}, {2.0, 0.0}, {1.0, 0.0}, 100), (Planes{6, 7, 8, 9}));
}

TEST(MappedPlanes, follow_the_translations_of_both_levels) {
  // Level 3 of a pyramid of centre-aligned levels: translation 3.5 voxels of level 0.
  EXPECT_EQ(map_planes({1}, {8.0, 3.5}, {1.0, 0.0}, 100),
            (Planes{11, 12, 13, 14, 15, 16, 17, 18, 19}));
  EXPECT_EQ(map_planes({1}, {8.0, 3.5}, {1.0, 3.5}, 100), (Planes{8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(map_planes({0}, {1.0, 0.0}, {1.0, -5.0}, 100), Planes{5});
}

TEST(MappedPlanes, take_every_plane_that_is_touched) {
  EXPECT_EQ(map_planes({1}, {1.5, 0.0}, {1.0, 0.0}, 10), (Planes{1, 2}));
  EXPECT_EQ(map_planes({2}, {0.4, 0.0}, {1.0, 0.0}, 10), (Planes{0, 1}));
}

TEST(MappedPlanes, ignore_rounding_errors_of_the_metadata) {
  // 0.1 * 3 is more than 0.3 in double: plane 0 of 3 x 0.1 must not touch a fourth plane.
  EXPECT_EQ(map_planes({0}, {0.1 * 3, 0.0}, {0.1, 0.0}, 10), (Planes{0, 1, 2}));
  EXPECT_EQ(map_planes({1}, {0.3, 0.0}, {0.1, 0.0}, 10), (Planes{3, 4, 5}));
  EXPECT_EQ(map_planes({1}, {8.0, 4e-10}, {1.0, 0.0}, 100).back(), 15);
  EXPECT_EQ(map_planes({1}, {8.0, 4e-9}, {1.0, 0.0}, 100).back(), 16) << "beyond the tolerance";
  EXPECT_EQ(map_planes({1}, {8.0, -4e-10}, {1.0, 0.0}, 100).front(), 8);
  EXPECT_EQ(map_planes({1}, {8.0, -4e-9}, {1.0, 0.0}, 100).front(), 7);
  // Every plane of any decimal scale maps to exactly its own eight.
  for (const double scale : {0.748, 1.0 / 3.0, 0.1, 1e-3, 12345.678})
    for (std::int64_t plane = 0; plane < 3000; plane += 7) {
      const Planes mapped = map_planes({plane}, {8 * scale, 0.0}, {scale, 0.0}, 1 << 20);
      ASSERT_EQ(mapped.size(), 8U) << scale << " plane " << plane;
      ASSERT_EQ(mapped.front(), 8 * plane);
    }
}

TEST(MappedPlanes, are_clamped_to_the_array) {
  EXPECT_EQ(map_planes({1}, {8.0, 0.0}, {1.0, 0.0}, 10), (Planes{8, 9}));
  EXPECT_EQ(map_planes({0}, {8.0, -6.0}, {1.0, 0.0}, 10), (Planes{0, 1}));
  EXPECT_EQ(map_planes({5}, {8.0, 0.0}, {1.0, 0.0}, 10), Planes{});
  EXPECT_EQ(map_planes({0}, {8.0, -100.0}, {1.0, 0.0}, 10), Planes{});
  EXPECT_EQ(map_planes({0}, {1e300, 0.0}, {1e-300, 0.0}, 3), (Planes{0, 1, 2}));
  EXPECT_EQ(map_planes({}, {8.0, 0.0}, {1.0, 0.0}, 10), Planes{});
}

TEST(SubtractBackground, takes_the_plane_from_each_voxel_and_stops_at_zero) {
  std::mt19937 random(3);
  Block<float> raw({3, 4, 5});
  Block<float> background({1, 4, 5});
  for (float& v : raw.span()) v = static_cast<float>(random() % 200);
  for (float& v : background.span()) v = 0.5F * static_cast<float>(random() % 200);
  Block<float> out = raw.clone();
  subtract_background(out.view(), {{5, 0, 0}, out.shape()}, background.view());
  for (std::int64_t i = 0; i < raw.size(); ++i) {
    const Extent3 p = unravel(i, raw.shape());
    EXPECT_EQ(out.at(p.z, p.y, p.x),
              std::max(raw.at(p.z, p.y, p.x) - background.at(0, p.y, p.x), 0.0F));
  }
}

}  // namespace
}  // namespace flatfield::methods
