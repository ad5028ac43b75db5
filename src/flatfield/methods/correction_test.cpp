#include "flatfield/methods/correction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "flatfield/core/error.h"
#include "support/each_cpu_target.h"

namespace flatfield::methods {
namespace {

using Random = std::mt19937;

std::int64_t pick(Random& random, std::int64_t lo, std::int64_t hi) {
  return std::uniform_int_distribution<std::int64_t>(lo, hi)(random);
}
float pick_real(Random& random, float lo, float hi) {
  return std::uniform_real_distribution<float>(lo, hi)(random);
}
Extent3 pick_shape(Random& random, std::int64_t most) {
  return {pick(random, 1, most), pick(random, 1, most), pick(random, 1, most)};
}

template <class T>
Block<T> random_volume(Random& random, const Extent3& shape, std::int64_t most) {
  Block<T> volume(shape);
  for (T& v : volume.span()) v = static_cast<T>(pick(random, 0, most));
  return volume;
}

std::vector<float> random_curve(Random& random, std::int64_t length, float lo, float hi) {
  std::vector<float> curve(static_cast<std::size_t>(length));
  for (float& c : curve) c = pick_real(random, lo, hi);
  return curve;
}

Block<float> random_plane(Random& random, const Extent3& shape, float lo, float hi) {
  Block<float> plane({1, shape.y, shape.x});
  for (float& v : plane.span()) v = pick_real(random, lo, hi);
  return plane;
}

/// Any combination of background and either an image flatfield or mask and curves; masks of any
/// ratio to the volume. Curves that are not clipped may fall to or below zero.
Correction random_correction(Random& random, const Extent3& shape) {
  Correction correction;
  correction.shape = shape;
  if (pick(random, 0, 3) != 0) {
    correction.background.emplace(Extent3{1, shape.y, shape.x});
    for (float& b : correction.background->span())
      b = 0.5F * static_cast<float>(pick(random, 0, 300));
  }
  if (pick(random, 0, 3) == 0) return correction;
  if (pick(random, 0, 2) == 0) {
    correction.image.emplace(random_plane(random, shape, 1e-3F, 1.5F), std::nullopt);
    if (pick(random, 0, 1) == 0) correction.image->darkfield = random_plane(random, shape, -5.0F, 90.0F);
    return correction;
  }
  const Extent3 mask_shape =
      pick(random, 0, 1) == 0 ? max(floor_div(shape, 2), {1, 1, 1}) : pick_shape(random, 25);
  correction.mask = BitVolume(random_volume<std::uint8_t>(random, mask_shape, pick(random, 0, 2)).view());
  if (pick(random, 0, 4) == 0) return correction;
  const float lowest = pick(random, 0, 3) == 0 ? -0.5F : 0.25F;
  AxisCurves curves;
  if (pick(random, 0, 3) != 0) curves.z = random_curve(random, shape.z, lowest, 1.2F);
  if (pick(random, 0, 3) != 0) curves.y = random_curve(random, shape.y, lowest, 1.2F);
  if (pick(random, 0, 3) != 0) curves.x = random_curve(random, shape.x, lowest, 1.2F);
  curves.ratio = pick_real(random, lowest < 0.0F ? -10.0F : 0.1F, 40.0F);
  correction.curves = std::move(curves);
  return correction;
}

/// docs/methods.md 4.2, for one voxel.
bool inside_mask(const Correction& correction, const Extent3& p) {
  const auto source = [&](int axis) {
    const std::int64_t s = correction.mask->shape()[axis];
    return std::min((2 * p[axis] + 1) * s / (2 * correction.shape[axis]), s - 1);
  };
  return correction.mask->at(source(0), source(1), source(2));
}

/// docs/methods.md 1 (step 8), 2, 3, 4.7 and 5, for one voxel.
std::uint16_t corrected(const Correction& correction, const Extent3& p, float raw) {
  float v = raw - (correction.background ? correction.background->at(0, p.y, p.x) : 0.0F);
  if (!(v > 0.0F)) v = 0.0F;
  if (correction.image) {
    const auto& [flatfield, darkfield] = *correction.image;
    v = (v - (darkfield ? darkfield->at(0, p.y, p.x) : 0.0F)) / flatfield.at(0, p.y, p.x);
  }
  if (correction.curves && inside_mask(correction, p)) {
    const auto reciprocal = [](const std::vector<float>& curve, std::int64_t i) {
      return curve.empty() ? 1.0F : 1.0F / curve[static_cast<std::size_t>(i)];
    };
    v = v * reciprocal(correction.curves->x, p.x);
    v = v * reciprocal(correction.curves->y, p.y);
    v = v * reciprocal(correction.curves->z, p.z);
    v = v * correction.curves->ratio;
  }
  return static_cast<std::uint16_t>(std::nearbyint(std::clamp(v, 0.0F, 65535.0F)));
}

template <class T>
Block<std::uint16_t> apply_whole(const Correction& correction, const Block<T>& raw) {
  const CorrectionKernel kernel(correction);
  CorrectionKernel::Scratch scratch;
  Block<std::uint16_t> out(raw.shape());
  kernel.apply<T>({{0, 0, 0}, raw.shape()}, raw.view(), out.view(), scratch);
  return out;
}

/// One voxel of background 0 inside the mask.
std::uint16_t apply_to(std::uint16_t raw, float ratio, float background = 0.0F) {
  Correction correction;
  correction.shape = {1, 1, 1};
  correction.background = Block<float>({1, 1, 1}, background);
  correction.mask = BitVolume({1, 1, 1}, true);
  correction.curves = AxisCurves{{}, {}, {}, ratio};
  return apply_whole(correction, Block<std::uint16_t>({1, 1, 1}, raw)).at(0, 0, 0);
}

template <class T>
class CorrectionOf : public testing::Test {};
using VoxelTypes = testing::Types<std::uint8_t, std::uint16_t>;
TYPED_TEST_SUITE(CorrectionOf, VoxelTypes);

template <class T>
void expect_correction_of_each_voxel(unsigned seed, Random& random, const Extent3& shape) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const Correction correction = random_correction(random, shape);
  const auto raw = random_volume<T>(random, shape, pick(random, 0, 1) == 0 ? 300 : 65535);
  const Block<std::uint16_t> out = apply_whole(correction, raw);
  for (std::int64_t i = 0; i < raw.size(); ++i) {
    const Extent3 p = unravel(i, shape);
    ASSERT_EQ(out.at(p.z, p.y, p.x), corrected(correction, p, raw.at(p.z, p.y, p.x)))
        << to_string(p) << " raw " << int{raw.at(p.z, p.y, p.x)};
  }
}

TYPED_TEST(CorrectionOf, random_volumes_is_that_of_each_voxel) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const Extent3 shape = pick_shape(random, 24);
    expect_correction_of_each_voxel<TypeParam>(seed, random, shape);
  }
}

TYPED_TEST(CorrectionOf, long_rows_has_the_same_bits_on_every_cpu) {
  for_each_cpu_target([] {
    for (unsigned seed = 0; seed < 100; ++seed) {
      Random random(seed);
      const Extent3 shape{pick(random, 1, 3), pick(random, 1, 4), pick(random, 1, 200)};
      expect_correction_of_each_voxel<TypeParam>(seed, random, shape);
    }
  });
}

TYPED_TEST(CorrectionOf, boxes_equals_that_of_the_whole_and_writes_nothing_else) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const Extent3 shape = pick_shape(random, 24);
    const Correction correction = random_correction(random, shape);
    const auto raw = random_volume<TypeParam>(random, shape, 255);
    const Block<std::uint16_t> whole = apply_whole(correction, raw);

    const CorrectionKernel kernel(correction);
    CorrectionKernel::Scratch scratch;  // reused: what a larger box left must not matter
    for (int repeat = 0; repeat < 10; ++repeat) {
      Box3 box;
      for (int axis = 0; axis < 3; ++axis) {
        box.origin[axis] = pick(random, 0, shape[axis] - 1);
        box.shape[axis] = pick(random, 0, shape[axis] - box.origin[axis]);
      }
      constexpr std::uint16_t kUntouched = 51423;
      Block<std::uint16_t> out(shape, kUntouched);
      kernel.apply<TypeParam>(box, raw.view().sub(box), out.view().sub(box), scratch);
      for (std::int64_t i = 0; i < raw.size(); ++i) {
        const Extent3 p = unravel(i, shape);
        const bool in_box = !intersect({p, {1, 1, 1}}, box).empty();
        ASSERT_EQ(out.at(p.z, p.y, p.x), in_box ? whole.at(p.z, p.y, p.x) : kUntouched)
            << to_string(p) << " box " << to_string(box.origin) << to_string(box.shape);
      }
    }
  }
}

TEST(Correction, of_voxels_where_they_are_equals_that_into_another_block) {
  for_each_cpu_target([] {
    for (unsigned seed = 0; seed < 100; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed);
      Random random(seed);
      const Extent3 shape{pick(random, 1, 3), pick(random, 1, 4), pick(random, 1, 200)};
      const Correction correction = random_correction(random, shape);
      auto voxels = random_volume<std::uint16_t>(random, shape, 65535);
      const Block<std::uint16_t> expected = apply_whole(correction, voxels);
      const CorrectionKernel kernel(correction);
      CorrectionKernel::Scratch scratch;
      kernel.apply<std::uint16_t>({{0, 0, 0}, shape}, voxels.view(), voxels.view(), scratch);
      ASSERT_TRUE(std::ranges::equal(voxels.span(), expected.span()));
    }
  });
}

TEST(Correction, rounds_halves_to_even) {
  EXPECT_EQ(apply_to(1, 0.5F), 0);
  EXPECT_EQ(apply_to(3, 0.5F), 2);
  EXPECT_EQ(apply_to(5, 0.5F), 2);
  EXPECT_EQ(apply_to(7, 0.5F), 4);
  EXPECT_EQ(apply_to(65535, 0.5F), 32768);
  EXPECT_EQ(apply_to(65533, 0.5F), 32766);
  EXPECT_EQ(apply_to(40, 1.0F, 38.5F), 2);
  EXPECT_EQ(apply_to(40, 1.0F, 37.5F), 2);
  EXPECT_EQ(apply_to(9, 0.0555F), 0);
  EXPECT_EQ(apply_to(10, 0.0501F), 1);
}

TEST(Correction, saturates_and_never_wraps) {
  EXPECT_EQ(apply_to(65535, 1.0F), 65535);
  EXPECT_EQ(apply_to(65535, 1.00001F), 65535);
  EXPECT_EQ(apply_to(2, 1e30F), 65535);
  EXPECT_EQ(apply_to(40000, 1e38F), 65535);
  EXPECT_EQ(apply_to(10, 1.0F, 65535.0F), 0);
  EXPECT_EQ(apply_to(0, 1e30F), 0);
  EXPECT_EQ(apply_to(10, 1.0F, -1e6F), 65535) << "a background image may be negative";
}

TEST(Correction, clips_a_negative_ratio_to_zero) {
  EXPECT_EQ(apply_to(10, -1.0F), 0);
  EXPECT_EQ(apply_to(60000, -1e9F), 0);
}

TEST(Correction, clips_what_is_out_of_every_range_in_each_place_of_a_row_on_every_cpu) {
  // Reciprocals around the limits of uint16, of int32, where 2^23 more is no float of its own, and of float32.
  constexpr std::array kCurve{1e-38F, -1e-38F, 1e-30F, -1e-30F, 4e-6F, -4e-6F, 2e-5F, -2e-5F, 0.004F, -0.004F,
                              0.9F,   -0.9F,   1.0F,   -1.0F,   3e-4F, -3e-4F, 0.1F,  -0.1F,  1e5F,   -1e5F};
  for_each_cpu_target([&] {
    for (unsigned seed = 0; seed < 50; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed);
      Random random(seed);
      Correction correction;
      correction.shape = {2, 3, pick(random, 1, 100)};
      correction.background = random_plane(random, correction.shape, 0.0F, 40000.0F);
      correction.mask = BitVolume(random_volume<std::uint8_t>(random, correction.shape, pick(random, 1, 2)).view());
      std::vector<float> x(static_cast<std::size_t>(correction.shape.x));
      for (float& c : x) c = kCurve.at(static_cast<std::size_t>(pick(random, 0, std::ssize(kCurve) - 1)));
      correction.curves = AxisCurves{{}, {}, x, 1.0F};
      const auto raw = random_volume<std::uint16_t>(random, correction.shape, 65535);
      const Block<std::uint16_t> out = apply_whole(correction, raw);
      for (std::int64_t i = 0; i < raw.size(); ++i) {
        const Extent3 p = unravel(i, correction.shape);
        ASSERT_EQ(out.at(p.z, p.y, p.x), corrected(correction, p, raw.at(p.z, p.y, p.x)))
            << to_string(p) << " raw " << raw.at(p.z, p.y, p.x) << " curve " << x[static_cast<std::size_t>(p.x)];
      }
    }
  });
}

TEST(Correction, clips_voxels_under_a_curve_that_is_zero_or_negative) {
  Correction correction;
  correction.shape = {1, 1, 4};
  correction.mask = BitVolume({1, 1, 1}, true);
  correction.curves = AxisCurves{{}, {}, {-0.5F, 0.0F, 0.0F, 0.5F}, 1.0F};
  Block<std::uint16_t> raw({1, 1, 4}, 100);
  raw.at(0, 0, 2) = 0;
  const Block<std::uint16_t> out = apply_whole(correction, raw);
  EXPECT_EQ(out.at(0, 0, 0), 0);
  EXPECT_EQ(out.at(0, 0, 1), 65535);
  EXPECT_EQ(out.at(0, 0, 2), 0) << "0 * infinity";
  EXPECT_EQ(out.at(0, 0, 3), 200);
}

TEST(Correction, by_an_image_saturates_and_clips_and_never_wraps) {
  Correction correction;
  correction.shape = {1, 1, 4};
  correction.image.emplace(Block<float>({1, 1, 4}, 1e-38F), Block<float>({1, 1, 4}, 50.0F));
  correction.image->flatfield.at(0, 0, 0) = 4.0F;
  Block<std::uint16_t> raw({1, 1, 4}, 60000);
  raw.at(0, 0, 0) = 60;
  raw.at(0, 0, 1) = 49;
  raw.at(0, 0, 2) = 50;
  const Block<std::uint16_t> out = apply_whole(correction, raw);
  EXPECT_EQ(out.at(0, 0, 0), 2) << "2.5 to even";
  EXPECT_EQ(out.at(0, 0, 1), 0);
  EXPECT_EQ(out.at(0, 0, 2), 0);
  EXPECT_EQ(out.at(0, 0, 3), 65535);
}

TEST(Correction, multiplies_from_left_to_right_without_gains_made_beforehand) {
  // (v / cx / cy / cz * ratio) and v * (ratio / (cx cy cz)) round to different integers somewhere.
  Random random(7);
  Correction correction;
  correction.shape = {40, 40, 40};
  correction.mask = BitVolume({1, 1, 1}, true);
  correction.curves =
      AxisCurves{random_curve(random, 40, 0.3F, 1.2F), random_curve(random, 40, 0.3F, 1.2F),
                 random_curve(random, 40, 0.3F, 1.2F), 2.5F};
  const auto raw = random_volume<std::uint16_t>(random, correction.shape, 65535);
  const Block<std::uint16_t> out = apply_whole(correction, raw);
  for (std::int64_t i = 0; i < raw.size(); ++i) {
    const Extent3 p = unravel(i, correction.shape);
    ASSERT_EQ(out.at(p.z, p.y, p.x), corrected(correction, p, raw.at(p.z, p.y, p.x)));
  }
}

TEST(Correction, without_parts_copies) {
  Random random(1);
  Correction correction;
  correction.shape = {3, 5, 7};
  const auto raw = random_volume<std::uint16_t>(random, correction.shape, 65535);
  const Block<std::uint16_t> out = apply_whole(correction, raw);
  EXPECT_TRUE(std::equal(raw.span().begin(), raw.span().end(), out.span().begin()));
}

TEST(UpscaledMask, follows_the_formula_for_any_ratio_and_box) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    Correction correction;
    correction.shape = pick_shape(random, 30);
    correction.mask = BitVolume(random_volume<std::uint8_t>(random, pick_shape(random, 30), 2).view());
    const CorrectionKernel kernel(correction);
    Box3 box;
    for (int axis = 0; axis < 3; ++axis) {
      box.origin[axis] = pick(random, 0, correction.shape[axis] - 1);
      box.shape[axis] = pick(random, 1, correction.shape[axis] - box.origin[axis]);
    }
    Block<std::uint8_t> out(box.shape, 99);
    kernel.upscale_mask(box, out.view());
    for (std::int64_t i = 0; i < out.size(); ++i) {
      const Extent3 p = unravel(i, box.shape);
      ASSERT_EQ(out.at(p.z, p.y, p.x), inside_mask(correction, p + box.origin) ? 1 : 0)
          << to_string(p);
    }
  }
}

TEST(CorrectionKernel, refuses_parts_that_do_not_fit_the_volume) {
  const auto refused = [](const auto& change) {
    Correction correction;
    correction.shape = {2, 3, 4};
    correction.mask = BitVolume({1, 1, 1}, true);
    correction.curves = AxisCurves{};
    change(correction);
    EXPECT_THROW(CorrectionKernel{correction}, Error);
  };
  refused([](Correction& c) { c.background = Block<float>({1, 4, 3}, 0.0F); });
  refused([](Correction& c) { c.mask.reset(); });
  refused([](Correction& c) { c.curves->z = {1.0F}; });
  refused([](Correction& c) { c.curves->y = {1.0F}; });
  refused([](Correction& c) { c.curves->x = {1.0F}; });
  const auto image = [](std::int64_t y, std::int64_t x) {
    return ImageFlatfield{Block<float>({1, y, x}, 1.0F), std::nullopt};
  };
  refused([&](Correction& c) { c.image = image(3, 4); });  // beside the curves
  refused([&](Correction& c) {
    c.curves.reset();
    c.image = image(4, 3);
  });
  refused([&](Correction& c) {
    c.curves.reset();
    c.image = image(3, 4);
    c.image->darkfield = Block<float>({1, 3, 3}, 0.0F);
  });
}

}  // namespace
}  // namespace flatfield::methods
