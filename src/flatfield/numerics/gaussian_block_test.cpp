#include "flatfield/numerics/gaussian_block.h"

#include <gtest/gtest.h>

#include <random>

#include "flatfield/core/parallel.h"
#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::numerics {
namespace {

TEST(GaussianBlock, has_the_bits_of_the_whole_volume_filtered) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const auto up_to = [&](int n) { return std::uniform_int_distribution<std::int64_t>(1, n)(random); };
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const Extent3 shape{up_to(30), up_to(30), up_to(260)};
    Block<float> volume(shape);
    for (float& v : volume.span()) v = std::uniform_real_distribution<float>(0, 1000)(random);
    const std::array<double, 3> sigma{round % 5 * 0.7, round % 4 * 0.9, round % 3 * 1.1};

    Box3 box{{up_to(30) % shape.z, up_to(30) % shape.y, up_to(260) % shape.x}, {}};
    box.shape = map_axes(shape - box.origin, [&](std::int64_t most) { return up_to(30) % most + 1; });
    box.shape = min(box.shape, shape - box.origin);
    const Box3 seen = grown(box, gaussian_reach(sigma), shape);
    Block<float> part(seen.shape);
    copy_block<float>(volume.view().sub(seen), part.view());
    const Box3 inner{box.origin - seen.origin, box.shape};
    gaussian_filter_block(part.view(), inner, sigma);

    gaussian_filter(volume.view(), sigma, serial_for);
    for (std::int64_t z = 0; z < box.shape.z; ++z)
      for (std::int64_t y = 0; y < box.shape.y; ++y)
        for (std::int64_t x = 0; x < box.shape.x; ++x)
          ASSERT_EQ(part.view().sub(inner).row(z, y)[x], volume.view().sub(box).row(z, y)[x]);
  }
}

}  // namespace
}  // namespace flatfield::numerics
