#include "flatfield/methods/mask_agreement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>
#include <string>

#include "flatfield/core/parallel.h"

namespace flatfield::methods {
namespace {

// Of whole volumes, in boxes of some planes and rows.

template <class Visit>
void in_boxes(const Extent3& shape, Visit visit) {
  const Extent3 tile{5, 7, 64};
  const Extent3 grid = ceil_div(shape, tile);
  for (std::int64_t i = 0; i < grid.volume(); ++i)
    visit(tile_box(unravel(i, grid), tile, shape), static_cast<int>(i % 2));
}

std::optional<double> mask_brightness_auc(BlockView<const float> v_low, BlockView<const float> smoothed,
                                          BitView mask, const ParallelFor& /*parallel_for*/) {
  BrightnessAuc auc(mask, 2);
  in_boxes(v_low.shape, [&](const Box3& box, int worker) { auc.add(box, v_low.sub(box), smoothed.sub(box), worker); });
  return auc.value();
}

std::optional<double> mask_edge_agreement(BlockView<const float> v_low, BlockView<const float> smoothed,
                                          BitView mask, const ParallelFor& /*parallel_for*/) {
  EdgeAgreement agreement(mask, 2);
  in_boxes(v_low.shape, [&](const Box3& box, int worker) {
    const Box3 seen = grown(box, {EdgeAgreement::kReach, EdgeAgreement::kReach, EdgeAgreement::kReach}, v_low.shape);
    agreement.add(box, seen, v_low.sub(seen), smoothed.sub(seen), worker);
  });
  return agreement.value();
}

/// A bright box in a dark volume of random values, its mask, and any mask of the same size
/// elsewhere.
struct Scene {
  Block<float> volume;
  Block<std::uint8_t> mask;
  Block<std::uint8_t> shifted;
};

Scene make_scene(unsigned seed, const Extent3& shape = {24, 30, 36}) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> dark(0.5F, 20.0F);
  std::uniform_real_distribution<float> bright(15.0F, 60.0F);
  Scene scene{Block<float>(shape), Block<std::uint8_t>(shape), Block<std::uint8_t>(shape)};
  const auto in_box = [&](std::int64_t z, std::int64_t y, std::int64_t x) {
    return 4 * z >= shape.z && 4 * z < 3 * shape.z && 4 * y >= shape.y && 4 * y < 3 * shape.y &&
           4 * x >= shape.x && 4 * x < 3 * shape.x;
  };
  for (std::int64_t z = 0; z < shape.z; ++z)
    for (std::int64_t y = 0; y < shape.y; ++y)
      for (std::int64_t x = 0; x < shape.x; ++x) {
        scene.mask.at(z, y, x) = in_box(z, y, x) ? 1 : 0;
        scene.shifted.at(z, y, x) = in_box(z, y, (x + shape.x / 2) % shape.x) ? 1 : 0;
        scene.volume.at(z, y, x) = in_box(z, y, x) ? bright(random) : dark(random);
        if (random() % 7 == 0) scene.volume.at(z, y, x) = 0.0F;
      }
  return scene;
}

TEST(MaskBrightnessAuc, is_the_share_of_pairs_in_which_the_inner_voxel_is_brighter) {
  const unsigned seed = 20;
  SCOPED_TRACE(seed);
  const Scene scene = make_scene(seed, {8, 10, 12});
  double wins = 0.0;
  double pairs = 0.0;
  for (std::int64_t i = 0; i < scene.volume.size(); ++i)
    for (std::int64_t j = 0; j < scene.volume.size(); ++j) {
      const float a = scene.volume.data()[i];
      const float b = scene.volume.data()[j];
      if (scene.mask.data()[i] == 0 || scene.mask.data()[j] != 0 || a == 0.0F || b == 0.0F)
        continue;
      pairs += 1.0;
      wins += a > b ? 1.0 : a == b ? 0.5 : 0.0;
    }
  const auto auc =
      mask_brightness_auc(scene.volume.view(), scene.volume.view(), BitVolume(scene.mask.view()).view(), serial_for);
  ASSERT_TRUE(auc);
  EXPECT_NEAR(*auc, wins / pairs, 1e-3);
  EXPECT_GT(*auc, 0.9);
}

TEST(MaskBrightnessAuc, is_small_for_a_mask_of_another_place) {
  const Scene scene = make_scene(21);
  EXPECT_LT(mask_brightness_auc(scene.volume.view(), scene.volume.view(), BitVolume(scene.shifted.view()).view(),
                                serial_for),
            0.6);
}

TEST(MaskBrightnessAuc, has_no_value_for_a_mask_that_holds_nearly_all_or_nearly_nothing) {
  const Block<float> volume({30, 30, 30}, 5.0F);
  Block<std::uint8_t> few(volume.shape(), 0);
  for (std::int64_t i = 0; i < 99; ++i) few.data()[i] = 1;
  Block<std::uint8_t> many(volume.shape(), 1);
  for (std::int64_t i = 0; i < 260; ++i) many.data()[i] = 0;
  for (const Block<std::uint8_t>* mask : {&few, &many})
    EXPECT_FALSE(mask_brightness_auc(volume.view(), volume.view(), BitVolume(mask->view()).view(), serial_for));
  few.data()[99] = 1;
  for (std::int64_t i = 260; i < 270; ++i) many.data()[i] = 0;
  for (const Block<std::uint8_t>* mask : {&few, &many})
    EXPECT_EQ(mask_brightness_auc(volume.view(), volume.view(), BitVolume(mask->view()).view(), serial_for), 0.5);
}

/// The definition of mask_edge_agreement, one crossing after the other.
std::optional<double> naive_edge_agreement(const Scene& scene, const Block<std::uint8_t>& mask) {
  double wins = 0.0;
  int count = 0;
  const Extent3& shape = mask.shape();
  const Extent3 steps[] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  for (const Extent3& step : steps)
    for (std::int64_t z = 0; z + 5 * step.z < shape.z; ++z)
      for (std::int64_t y = 0; y + 5 * step.y < shape.y; ++y)
        for (std::int64_t x = 0; x + 5 * step.x < shape.x; ++x) {
          std::string kinds;
          for (std::int64_t k = 0; k < 6; ++k) {
            const bool seen =
                scene.volume.at(z + k * step.z, y + k * step.y, x + k * step.x) != 0.0F;
            kinds += !seen                                                     ? '?'
                     : mask.at(z + k * step.z, y + k * step.y, x + k * step.x) ? '1'
                                                                               : '0';
          }
          if (kinds != "000111" && kinds != "111000") continue;
          const float first = scene.volume.at(z, y, x);
          const float last = scene.volume.at(z + 5 * step.z, y + 5 * step.y, x + 5 * step.x);
          const float inner = kinds[0] == '1' ? first : last;
          const float outer = kinds[0] == '1' ? last : first;
          ++count;
          wins += inner > outer ? 1.0 : inner == outer ? 0.5 : 0.0;
        }
  if (count < 100) return std::nullopt;
  return wins / count;
}

TEST(MaskEdgeAgreement, equals_its_definition_on_random_volumes) {
  for (const unsigned seed : {30U, 31U}) {
    SCOPED_TRACE(seed);
    const Scene scene = make_scene(seed);
    for (const Block<std::uint8_t>* mask : {&scene.mask, &scene.shifted}) {
      const auto expected = naive_edge_agreement(scene, *mask);
      ASSERT_TRUE(expected);
      EXPECT_DOUBLE_EQ(
          mask_edge_agreement(scene.volume.view(), scene.volume.view(), BitVolume(mask->view()).view(), serial_for)
              .value(),
          *expected);
    }
  }
}

TEST(MaskEdgeAgreement, is_high_where_borders_lie_on_edges_and_chance_where_they_do_not) {
  const Scene scene = make_scene(32);
  EXPECT_GT(
      mask_edge_agreement(scene.volume.view(), scene.volume.view(), BitVolume(scene.mask.view()).view(), serial_for),
      0.95);
  EXPECT_LT(mask_edge_agreement(scene.volume.view(), scene.volume.view(), BitVolume(scene.shifted.view()).view(),
                                serial_for),
            0.7);
}

TEST(MaskEdgeAgreement, is_not_moved_by_an_uneven_background_that_drowns_the_tissue) {
  Scene scene = make_scene(33);
  Block<float> raw = scene.volume.clone();
  for (std::int64_t z = 0; z < raw.shape().z; ++z)
    for (std::int64_t y = 0; y < raw.shape().y; ++y)
      for (std::int64_t x = 0; x < raw.shape().x; ++x)
        raw.at(z, y, x) += 400.0F * std::sin(static_cast<float>(z + y + x) / 300.0F);
  EXPECT_GT(
      mask_edge_agreement(scene.volume.view(), raw.view(), BitVolume(scene.mask.view()).view(), serial_for).value(),
      0.9);
}

TEST(MaskEdgeAgreement, has_no_value_without_borders) {
  const Block<float> volume({20, 20, 20}, 5.0F);
  const BitVolume all(volume.shape(), true);
  const BitVolume thin({4, 5, 5}, true);
  EXPECT_FALSE(mask_edge_agreement(volume.view(), volume.view(), all.view(), serial_for));
  EXPECT_FALSE(mask_edge_agreement(volume.view().sub({{0, 0, 0}, {4, 5, 5}}),
                                   volume.view().sub({{0, 0, 0}, {4, 5, 5}}), thin.view(),
                                   serial_for));
}

}  // namespace
}  // namespace flatfield::methods
