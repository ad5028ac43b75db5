#include "flatfield/methods/plane_deviations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace flatfield::methods {
namespace {

/// Counts the voxels that are visited.
class CountingStream : public LevelStream {
 public:
  explicit CountingStream(LevelStream& level) : level_(level) {}
  [[nodiscard]] const Extent3& shape() const override { return level_.shape(); }
  [[nodiscard]] int workers() const override { return level_.workers(); }
  void visit(const LevelPass& pass, const Visitor& visitor) override {
    LevelPass wanted = pass;
    wanted.wants = {};
    level_.visit(wanted, [&](const LevelBlock& block) {
      if (pass.wants && !pass.wants(block.box)) return;
      voxels += block.box.shape.volume();
      visitor(block);
    });
  }

  std::int64_t voxels = 0;

 private:
  LevelStream& level_;
};

/// Planes of different deviation; some of them vary in a few rows alone.
Block<float> random_level(const Extent3& shape, std::mt19937& random) {
  Block<float> level(shape);
  for (std::int64_t z = 0; z < shape.z; ++z) {
    const float spread = std::uniform_real_distribution<float>(0, random() % 3 == 0 ? 3.0F : 60.0F)(random);
    const bool is_local = random() % 4 == 0;
    for (std::int64_t y = 0; y < shape.y; ++y)
      for (std::int64_t x = 0; x < shape.x; ++x)
        level.at(z, y, x) =
            is_local && y % 7 != 3 ? 100.0F : 100.0F + std::uniform_real_distribution<float>(0, spread)(random);
  }
  return level;
}

TEST(PlaneDeviations, of_the_lowest_are_those_of_whole_planes) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int round = 0; round < 100; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const auto up_to = [&](int most) { return 1 + static_cast<std::int64_t>(random() % static_cast<unsigned>(most)); };
    const Extent3 shape{up_to(20), up_to(60), up_to(9)};
    Block<float> level = random_level(shape, random);
    if (round % 10 == 0) std::fill(level.span().begin(), level.span().end(), 7.0F);
    std::vector<double> expected;
    for (std::int64_t z = 0; z < shape.z; ++z) {
      numerics::ExactMoments plane;
      plane.add(level.plane(z).span());
      expected.push_back(plane.moments().deviation);
    }
    std::vector<double> sorted = expected;
    std::sort(sorted.begin(), sorted.end());
    const std::int64_t lowest = up_to(static_cast<int>(shape.z));
    const double limit = sorted[static_cast<std::size_t>(lowest - 1)];

    BlockStream stream(level.view(), {up_to(6), up_to(9), 64});
    const std::int64_t period = up_to(12);
    const PlaneDeviations found = lowest_deviations(stream, lowest, {up_to(static_cast<int>(period)), period});
    for (std::size_t z = 0; z < expected.size(); ++z) {
      if (expected[z] <= limit) {
        EXPECT_EQ(found.values[z], expected[z]);
        EXPECT_EQ(found.moments[z].count(), shape.y * shape.x);
      } else {
        EXPECT_GT(found.values[z], limit);
        EXPECT_LE(found.values[z], expected[z]);
      }
    }
  }
}

TEST(PlaneDeviations, of_planes_that_vary_much_are_told_from_some_rows) {
  std::mt19937 random(1);
  Block<float> level({40, 64, 8});
  for (std::int64_t z = 0; z < 40; ++z)
    for (float& v : level.plane(z).span()) v = std::uniform_real_distribution<float>(0, z < 3 ? 1.0F : 50.0F)(random);
  BlockStream stream(level.view(), {4, 4, 8});
  CountingStream counted(stream);
  const PlaneDeviations found = lowest_deviations(counted, 3, {4, 16});
  EXPECT_EQ(found.moments[2].count(), 64 * 8);
  EXPECT_EQ(found.moments[3].count(), 16 * 8);
  EXPECT_EQ(counted.voxels, level.size() / 4 + 3 * 48 * 8);
}

}  // namespace
}  // namespace flatfield::methods
