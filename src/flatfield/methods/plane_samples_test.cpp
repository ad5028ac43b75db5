#include "flatfield/methods/plane_samples.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace flatfield::methods {
namespace {

/// A ParallelFor that really runs all indices at the same time.
void threaded_for(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::vector<std::jthread> threads;
  for (std::int64_t i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
}

TEST(PlaneSamples, are_the_masked_voxels_of_each_plane_in_c_order) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto length = [&] { return static_cast<std::int64_t>(1 + random() % 40); };
    // Views of a larger volume: rows and planes are not adjacent.
    const Extent3 whole{length() + 2, length() + 2, length() + 2};
    const Box3 box{{1, 1, 1}, whole - Extent3{2, 2, 2}};
    Block<float> volume(whole);
    Block<std::uint8_t> mask(whole);
    for (float& v : volume.span()) v = static_cast<float>(random() % 1000);
    for (std::uint8_t& m : mask.span()) m = static_cast<std::uint8_t>(random() % 3);
    const BlockView<const float> values = volume.view().sub(box);
    const BitVolume bits(mask.view());
    const BitView inside = bits.view().sub(box);
    for (int axis = 0; axis < 3; ++axis) {
      std::vector<std::vector<float>> expected(static_cast<std::size_t>(box.shape[axis]));
      for (std::int64_t i = 0; i < box.shape.volume(); ++i) {
        const Extent3 p = unravel(i, box.shape);
        if (inside.at(p.z, p.y, p.x))
          expected[static_cast<std::size_t>(p[axis])].push_back(values.at(p.z, p.y, p.x));
      }
      std::vector<std::vector<float>> found(expected.size());
      std::vector<std::atomic<int>> visits(expected.size());
      for_each_plane_sample(values, inside, axis, threaded_for,
                            [&](std::int64_t plane, std::span<float> samples) {
                              const auto i = static_cast<std::size_t>(plane);
                              ++visits[i];
                              found[i].assign(samples.begin(), samples.end());
                            });
      EXPECT_EQ(found, expected) << "axis " << axis;
      for (const auto& n : visits) EXPECT_EQ(n, 1);
    }
  }
}

TEST(PlaneSamples, with_weights_are_pairs_of_the_same_voxel) {
  const Extent3 whole{9, 20, 37};
  const Box3 box{{1, 2, 3}, {7, 15, 33}};
  std::mt19937 random(5);
  Block<float> volume(whole);
  Block<float> weights(whole);
  Block<std::uint8_t> mask(whole);
  for (std::int64_t i = 0; i < volume.size(); ++i) {
    volume.data()[i] = static_cast<float>(random() % 10000);
    weights.data()[i] = 0.5F * volume.data()[i];
    mask.data()[i] = random() % 2;
  }
  const BitVolume bits(mask.view());
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<std::vector<float>> values(static_cast<std::size_t>(box.shape[axis]));
    for_each_plane_sample(volume.view().sub(box), bits.view().sub(box), axis, serial_for,
                          [&](std::int64_t plane, std::span<float> samples) {
                            values[static_cast<std::size_t>(plane)].assign(samples.begin(),
                                                                           samples.end());
                          });
    for_each_weighted_plane_sample(
        volume.view().sub(box), weights.view().sub(box), bits.view().sub(box), axis, threaded_for,
        [&](std::int64_t plane, std::span<numerics::WeightedValue> samples) {
          const std::vector<float>& expected = values[static_cast<std::size_t>(plane)];
          ASSERT_EQ(samples.size(), expected.size());
          for (std::size_t i = 0; i < samples.size(); ++i) {
            EXPECT_EQ(samples[i].value, expected[i]);
            EXPECT_EQ(samples[i].weight, 0.5F * expected[i]);
          }
        });
  }
}

}  // namespace
}  // namespace flatfield::methods
