#include "flatfield/numerics/find_within.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "support/each_cpu_target.h"

namespace flatfield::numerics {
namespace {

TEST(FindWithin, finds_what_lies_within_any_bounds_on_every_cpu) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const auto draw = [&] { return static_cast<float>(random() % 40) / 4.0F; };
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const std::size_t n = random() % 150;
    std::vector<float> values(n);
    std::vector<float> low(n);
    std::vector<float> high(n);
    std::vector<std::uint8_t> inside(n);
    for (std::size_t i = 0; i < n; ++i) {
      values[i] = draw();
      low[i] = draw();
      high[i] = draw();  // below `low` as often as not: no bounds
      inside[i] = static_cast<std::uint8_t>(random() % 3 != 0 ? 1 : 0);
    }
    std::vector<Bounds> others(random() % 4);
    for (Bounds& bounds : others) bounds = {draw(), draw()};
    std::vector<std::uint32_t> expected;
    for (std::size_t i = 0; i < n; ++i) {
      bool hit = values[i] >= low[i] && values[i] <= high[i];
      for (const Bounds& bounds : others) hit |= values[i] >= bounds.low && values[i] <= bounds.high;
      if (hit && inside[i] != 0) expected.push_back(static_cast<std::uint32_t>(i));
    }
    for_each_cpu_target([&] {
      std::vector<std::uint32_t> found(n);
      found.resize(static_cast<std::size_t>(find_within(values.data(), inside.data(), static_cast<std::int64_t>(n),
                                                        low.data(), high.data(), others, found.data())));
      EXPECT_EQ(found, expected);
    });
  }
}

}  // namespace
}  // namespace flatfield::numerics
