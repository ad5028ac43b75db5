#include "flatfield/methods/quality.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

/// Of a volume in memory.
AxisNumbers profile_cv(BlockView<const float> volume, BitView mask, const ParallelFor& /*parallel_for*/) {
  AxisPercentiles<numerics::RankCounts> medians({volume.shape, 50.0, {}, {100.0F}, 1, 1000});
  Block<std::uint8_t> inside(volume.shape);
  mask.expand(inside.view());
  while (!medians.done()) {
    medians.add({{0, 0, 0}, volume.shape}, volume, inside.view(), 0);
    medians.end_pass();
  }
  return profile_cv(medians, volume.shape);
}

TEST(ProfileCv, of_an_even_volume_is_zero) {
  const Block<float> volume({3, 4, 5}, 7.0F);
  const BitVolume mask({3, 4, 5}, true);
  for (const auto& cv : profile_cv(volume.view(), mask.view(), serial_for)) EXPECT_EQ(cv, 0.0);
}

TEST(ProfileCv, is_the_deviation_of_the_plane_medians_in_percent_of_their_mean) {
  // Plane medians along x: 10, 20, 30; along z and y the medians are all 20.
  Block<float> volume({2, 2, 3});
  for (std::int64_t i = 0; i < volume.size(); ++i)
    volume.data()[i] = 10.0F * static_cast<float>(1 + i % 3);
  const BitVolume mask({2, 2, 3}, true);
  const auto cv = profile_cv(volume.view(), mask.view(), serial_for);
  EXPECT_EQ(cv[0], 0.0);
  EXPECT_EQ(cv[1], 0.0);
  EXPECT_DOUBLE_EQ(cv[2].value(), 100.0 * std::sqrt(200.0 / 3.0) / 20.0);
}

TEST(ProfileCv, leaves_out_planes_without_mask_voxels_and_voxels_outside_the_mask) {
  Block<float> volume({3, 1, 2}, 5.0F);
  BitVolume mask({3, 1, 2}, true);
  volume.at(1, 0, 0) = 1000.0F;
  mask.set(1, 0, 0, false);
  mask.set(2, 0, 0, false);
  mask.set(2, 0, 1, false);
  volume.at(2, 0, 1) = 1e6F;
  EXPECT_EQ(profile_cv(volume.view(), mask.view(), serial_for)[0], 0.0);
}

TEST(ProfileCv, of_a_box_with_more_voxels_in_a_plane_than_16_bits_count_is_that_of_small_boxes) {
  // Planes of nearly one value: counts of 90,000 and more in a bin.
  const Box3 whole{{0, 0, 0}, {3, 300, 301}};
  Block<float> volume(whole.shape);
  for (std::int64_t i = 0; i < volume.size(); ++i)
    volume.data()[i] = i % 7 == 0 ? 9.0F : 4.0F + static_cast<float>(i % 301 % 2);
  const Block<std::uint8_t> inside(whole.shape, 1);
  AxisPercentiles<numerics::RankCounts> at_once({whole.shape, 80.0, {99.0}, {100.0F}, 1, 1 << 24});
  AxisPercentiles<numerics::RankCounts> by_rows({whole.shape, 80.0, {99.0}, {100.0F}, 1, 1 << 24});
  while (!at_once.done()) {
    at_once.add(whole, volume.view(), inside.view(), 0);
    at_once.end_pass();
  }
  while (!by_rows.done()) {
    for (std::int64_t i = 0; i < 900; ++i) {
      const Box3 row{{i / 300, i % 300, 0}, {1, 1, 301}};
      by_rows.add(row, volume.view().sub(row), inside.view().sub(row), 0);
    }
    by_rows.end_pass();
  }
  for (int axis = 0; axis < 3; ++axis)
    for (std::int64_t i = 0; i < whole.shape[axis]; ++i) {
      EXPECT_EQ(at_once.plane(axis, i).total, by_rows.plane(axis, i).total) << axis << ' ' << i;
      EXPECT_EQ(at_once.plane(axis, i).linear(), by_rows.plane(axis, i).linear()) << axis << ' ' << i;
    }
  EXPECT_EQ(at_once.overall(0).linear(), 9.0);
}

TEST(ProfileCv, has_no_value_where_it_cannot_be_measured) {
  const Block<float> volume({2, 2, 2}, 3.0F);
  const Block<float> dark({2, 2, 2}, 0.0F);
  const BitVolume empty({2, 2, 2});
  const BitVolume full({2, 2, 2}, true);
  for (const auto& cv : profile_cv(volume.view(), empty.view(), serial_for)) EXPECT_FALSE(cv);
  for (const auto& cv : profile_cv(dark.view(), full.view(), serial_for)) EXPECT_FALSE(cv);
}

TEST(ShareInMask, is_the_part_of_the_planes_that_is_masked) {
  BitVolume mask({3, 2, 2});
  mask.set(0, 0, 0, true);
  mask.set(2, 0, 0, true);
  mask.set(2, 1, 1, true);
  EXPECT_EQ(share_in_mask({0}, mask.view()), 0.25);
  EXPECT_EQ(share_in_mask({1}, mask.view()), 0.0);
  EXPECT_EQ(share_in_mask({0, 2}, mask.view()), 3.0 / 8.0);
  EXPECT_FALSE(share_in_mask({}, mask.view()));
}

/// A level whose first two planes are background, and what is measured on it. A voxel of tissue is
/// worth 100, 101, ... in C order.
struct Level {
  Block<float> raw{Extent3{8, 8, 8}};
  Block<float> before{Extent3{8, 8, 8}};
  Block<float> after{Extent3{8, 8, 8}};
  BitVolume mask{Extent3{8, 8, 8}};
  std::vector<std::int64_t> planes{0, 1};
  Correction correction;
  std::optional<AxisFit> fit;
  std::int64_t sample_voxels = std::numeric_limits<std::int64_t>::max();

  Level() {
    for (std::int64_t i = 0; i < raw.size(); ++i) {
      const bool tissue = i >= 128;
      before.data()[i] = tissue ? static_cast<float>(100 + i - 128) : static_cast<float>(i % 4);
      raw.data()[i] = before.data()[i] + 50.0F;
      after.data()[i] = 2.0F * before.data()[i];
      mask.set(i / 64, i / 8 % 8, i % 8, tissue);
    }
  }
  /// With a background of which no voxel is 0, so that the mask can be held against enough of it.
  static Level on_background() {
    Level level;
    for (std::int64_t i = 0; i < 128; ++i) {
      level.before.data()[i] = static_cast<float>(1 + i % 4);
      level.raw.data()[i] = level.before.data()[i] + 50.0F;
    }
    return level;
  }
  [[nodiscard]] QualityNumbers measure(bool with_mask = true, std::int64_t bytes = 100000,
                                       const Extent3& boxes = {3, 4, 5}) const {
    std::optional<BitView> given;
    if (with_mask) given = mask.view();
    BlockStream stream(raw.view(), boxes);
    const auto become = [](const Block<float>& volume) {
      return [&volume](const Box3& box, BlockView<float> values) {
        copy_block<float>(volume.view().sub(box), values);
      };
    };
    return measure_quality(
        {stream, become(before), become(after), given, planes, correction, fit, bytes, 0.0F, 0.0F, sample_voxels});
  }
};

TEST(Quality, medians_and_shares_are_those_of_foreground_and_background_planes) {
  const QualityNumbers numbers = Level().measure();
  EXPECT_EQ(numbers.mask_source, MaskSource::kGiven);
  EXPECT_EQ(numbers.mask_fraction, 0.75);
  EXPECT_EQ(numbers.background_planes_in_mask, 0.0);
  EXPECT_EQ(numbers.background_zeroed_fraction, 0.25);
  EXPECT_EQ(numbers.background_median.before, 1.5);
  EXPECT_EQ(numbers.background_median.after, 3.0);
  EXPECT_EQ(numbers.foreground_median.before, 291.5);
  EXPECT_EQ(numbers.foreground_median.after, 583.0);
  EXPECT_EQ(numbers.saturated_fraction, 0.0);
}

TEST(Quality, a_mere_factor_changes_neither_spread_nor_entropy) {
  const QualityNumbers numbers = Level().measure();
  EXPECT_NEAR(numbers.cjv.after.value(), numbers.cjv.before.value(), 1e-12);
  EXPECT_NEAR(numbers.entropy.after.value(), numbers.entropy.before.value(), 1e-3);
  // The values are spread evenly between the percentiles.
  EXPECT_NEAR(numbers.entropy.before.value(), std::log(0.98 * 383.0), 0.01);
}

TEST(Quality, the_ratio_of_the_curves_is_left_out_of_the_spread) {
  Level level;
  const double expected = level.measure().cjv.before.value();
  level.correction.curves = AxisCurves{{}, {}, {}, 2.0F};
  level.correction.shape = level.raw.shape();
  for (std::int64_t i = 0; i < 128; ++i) level.after.data()[i] = level.before.data()[i];
  EXPECT_NEAR(level.measure().cjv.after.value(), expected, 1e-12);
  EXPECT_EQ(level.measure().global_ratio, 2.0);
}

TEST(Quality, without_a_mask_the_voxels_brighter_than_the_background_planes_are_the_foreground) {
  Level level;
  const QualityNumbers numbers = level.measure(false);
  EXPECT_EQ(numbers.mask_source, MaskSource::kBrightVoxels);
  EXPECT_EQ(numbers.foreground_median.before, 291.5);
  for (const auto& number : {numbers.mask_fraction, numbers.mask_auc, numbers.mask_edge_agreement,
                             numbers.background_planes_in_mask})
    EXPECT_FALSE(number) << "a mask made from the data says nothing about itself";

  level.planes.clear();
  const QualityNumbers all = level.measure(false);
  EXPECT_EQ(all.mask_source, MaskSource::kAllVoxels);
  EXPECT_EQ(all.foreground_median.before, 227.5);
  EXPECT_FALSE(all.cjv.before || all.background_median.before || all.background_zeroed_fraction);
}

TEST(Quality, curves_have_gains_and_a_share_at_their_limits) {
  Level level;
  level.correction.curves = AxisCurves{{0.5F, 1.0F, 1.2F, 1.2F}, {}, {0.25F, 0.8F}, 1.5F};
  level.fit = AxisFit{};
  level.fit->axes[0].limits = Limits{0.25, 1.2};
  level.fit->axes[2].limits = std::nullopt;
  const QualityNumbers numbers = level.measure();
  EXPECT_EQ(numbers.axis_gain_min, 1.0 / double{1.2F});
  EXPECT_EQ(numbers.axis_gain_max, 4.0);
  EXPECT_EQ(numbers.axis_at_limits[0], 0.5);
  EXPECT_FALSE(numbers.axis_at_limits[1]) << "an axis that is not corrected";
  EXPECT_FALSE(numbers.axis_at_limits[2]) << "a curve without limits";
}

TEST(Quality, a_flatfield_is_measured_relative_to_its_mean) {
  Level level;
  Block<float> flatfield({1, 1, 4});
  std::copy_n(std::array<float, 4>{0.2F, 0.4F, 0.4F, 0.6F}.data(), 4, flatfield.data());
  level.correction.image = ImageFlatfield{std::move(flatfield), std::nullopt};
  const QualityNumbers numbers = level.measure();
  EXPECT_NEAR(numbers.flat_std.value(), std::sqrt(0.02) / 0.4, 1e-7);
  EXPECT_NEAR(numbers.flat_span.value(), 1.0, 1e-7);
  EXPECT_NEAR(numbers.flat_min.value(), 0.5, 1e-7);
}

TEST(Quality, the_background_spans_its_percentiles_but_a_few_counts_are_no_span) {
  Level level;
  Block<float> background({1, 1, 101});
  for (std::int64_t i = 0; i < 101; ++i) background.data()[i] = static_cast<float>(i);
  level.correction.background = std::move(background);
  EXPECT_NEAR(level.measure().background_span.value(), 98.0 / 50.0, 1e-9);
  for (float& v : level.correction.background->span()) v /= 50.0F;
  EXPECT_NEAR(level.measure().background_span.value(), 98.0 / 50.0 / 10.0, 1e-6);
}

TEST(Quality, voxels_at_the_end_of_the_range_are_saturated) {
  Level level;
  for (std::int64_t i = 0; i < 64; ++i) level.after.data()[i] = 65535.0F;
  EXPECT_EQ(level.measure().saturated_fraction, 64.0 / 512.0);
}

TEST(Quality, has_no_value_of_a_foreground_where_there_is_none) {
  Level level;
  level.mask = BitVolume(level.mask.shape());
  const QualityNumbers numbers = level.measure();
  EXPECT_FALSE(numbers.foreground_median.before || numbers.entropy.before || numbers.cjv.before);
  EXPECT_EQ(numbers.mask_fraction, 0.0);
}

TEST(Quality, refuses_a_mask_of_another_shape) {
  Level level;
  level.mask = BitVolume({8, 8, 7});
  EXPECT_THROW(static_cast<void>(level.measure()), Error);
}

TEST(Quality, does_not_depend_on_the_memory_or_the_boxes) {
  Level level = Level::on_background();
  for (std::int64_t i = 0; i < level.raw.size(); ++i)
    level.after.data()[i] = level.before.data()[i] * (1.0F + 0.001F * static_cast<float>(i % 37));
  for (const bool with_mask : {true, false}) {
    const QualityNumbers tight = level.measure(with_mask, 0, {2, 8, 3});
    const QualityNumbers loose = level.measure(with_mask, 1 << 22);
    EXPECT_EQ(tight.profile_cv_raw, loose.profile_cv_raw);
    EXPECT_EQ(tight.profile_cv_before, loose.profile_cv_before);
    EXPECT_EQ(tight.profile_cv_after, loose.profile_cv_after);
    EXPECT_EQ(tight.entropy.after, loose.entropy.after);
    EXPECT_EQ(tight.cjv.after, loose.cjv.after);
    EXPECT_EQ(tight.foreground_median.after, loose.foreground_median.after);
    EXPECT_EQ(tight.mask_auc.has_value(), with_mask);
    EXPECT_EQ(tight.mask_auc, loose.mask_auc);
    EXPECT_EQ(tight.mask_edge_agreement, loose.mask_edge_agreement);
  }
}

TEST(Quality, of_a_sampled_level_is_that_of_the_whole_but_for_fractions_of_counts_and_entropies_of_its_slabs) {
  Level level = Level::on_background();
  for (std::int64_t i = 0; i < level.raw.size(); ++i) level.after.data()[i] = level.before.data()[i] * 1.25F + 0.3F;
  level.fit = AxisFit{};
  level.fit->g = 300.0;
  const QualityNumbers whole = level.measure();
  level.sample_voxels = level.raw.size() - 1;  // slabs of 8 planes: all of them
  const QualityNumbers sampled = level.measure();
  EXPECT_EQ(sampled.profile_cv_before, whole.profile_cv_before);
  EXPECT_EQ(sampled.foreground_median.before, whole.foreground_median.before);
  EXPECT_EQ(sampled.entropy.before, whole.entropy.before);
  EXPECT_NEAR(sampled.foreground_median.after.value(), whole.foreground_median.after.value(), 0.5);
  EXPECT_TRUE(whole.mask_auc);
  EXPECT_EQ(sampled.mask_auc, whole.mask_auc);
  EXPECT_EQ(sampled.saturated_fraction, whole.saturated_fraction);
  // The medians of voxels that were rounded one by one.
  for (float& v : level.after.span()) v = std::nearbyint(v);
  level.sample_voxels = std::numeric_limits<std::int64_t>::max();
  const QualityNumbers rounded = level.measure();
  EXPECT_EQ(sampled.profile_cv_after, rounded.profile_cv_after);
  EXPECT_EQ(sampled.foreground_median.after, rounded.foreground_median.after);
}

TEST(Quality, the_entropies_of_a_sampled_level_are_those_of_its_slabs) {
  // 24 planes of 4 x 4 voxels; the slab is planes 8 to 15, and only what lies in it counts.
  Block<float> level(Extent3{24, 4, 4});
  for (std::int64_t i = 0; i < level.size(); ++i) level.data()[i] = static_cast<float>(100 + i);
  const auto measure = [&](std::int64_t first, std::int64_t last) {
    BitVolume mask(level.shape());
    for (std::int64_t i = 16 * first; i < 16 * last; ++i) mask.set(i / 16, i / 4 % 4, i % 4, true);
    BlockStream stream(level.view(), {3, 4, 5});
    const auto unchanged = [](const Box3&, BlockView<float>) {};
    const std::vector<std::int64_t> planes;
    const Correction correction;
    const std::optional<AxisFit> fit;
    return measure_quality({stream, unchanged, unchanged, mask.view(), planes, correction, fit, 100000, 0.0F, 0.0F, 1})
        .entropy;
  };
  EXPECT_TRUE(measure(8, 16).before && measure(8, 16).after);
  EXPECT_FALSE(measure(0, 8).before) << "its foreground lies in no slab";
  EXPECT_FALSE(measure(16, 24).after);
}

TEST(Quality, mask_agreement_is_measured_on_evenly_spread_slabs_of_large_levels) {
  EXPECT_EQ(sample_planes({20, 30, 40}, 24000), (std::vector<PlaneRange>{{0, 20}}));
  EXPECT_EQ(sample_planes({100, 10, 10}, 1700), (std::vector<PlaneRange>{{21, 29}, {71, 79}}));
  EXPECT_EQ(sample_planes({100, 10, 10}, 1), (std::vector<PlaneRange>{{46, 54}}));
  EXPECT_EQ(sample_planes({5, 10, 10}, 1), (std::vector<PlaneRange>{{0, 5}}));
  for (std::int64_t z = 9; z < 200; ++z) {
    std::int64_t last = 0;
    for (const PlaneRange& range : sample_planes({z, 1, 1}, z - 1)) {
      EXPECT_LE(last, range.first);
      EXPECT_EQ(range.last - range.first, 8);
      last = range.last;
    }
    EXPECT_LE(last, z);
  }
}

}  // namespace
}  // namespace flatfield::methods
