#include "flatfield/pipeline/phantom.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {
namespace {

config::SynthConfig small_config() {
  config::SynthConfig config;
  config.shape = {40, 50, 60};
  config.chunks = {16, 16, 16};
  config.n_levels = 3;
  config.seed = 7;
  return config;
}

Block<std::uint16_t> whole(const config::SynthConfig& config) {
  Phantom phantom(config);
  Block<std::uint16_t> volume(config.shape);
  phantom.read({{0, 0, 0}, config.shape}, volume.view(), 0);
  return volume;
}

TEST(Phantom, is_the_same_box_by_box_in_any_order) {
  const config::SynthConfig config = small_config();
  const Block<std::uint16_t> expected = whole(config);
  Phantom phantom(config);
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 100; ++repeat) {
    Box3 box;
    for (int axis = 0; axis < 3; ++axis) {
      box.origin[axis] = static_cast<std::int64_t>(random()) % config.shape[axis];
      box.shape[axis] =
          1 + static_cast<std::int64_t>(random()) % (config.shape[axis] - box.origin[axis]);
    }
    Block<std::uint16_t> part(box.shape + Extent3{1, 1, 1}, 0);
    phantom.read(box, part.view().sub({{0, 0, 0}, box.shape}), repeat % 3);
    for (std::int64_t i = 0; i < box.shape.volume(); ++i) {
      const Extent3 p = unravel(i, box.shape);
      const Extent3 q = box.origin + p;
      ASSERT_EQ(part.at(p.z, p.y, p.x), expected.at(q.z, q.y, q.x)) << to_string(q);
    }
  }
}

TEST(Phantom, depends_on_the_seed) {
  config::SynthConfig config = small_config();
  const Block<std::uint16_t> first = whole(config);
  EXPECT_TRUE(std::ranges::equal(first.span(), whole(config).span()));
  config.seed = 8;
  EXPECT_FALSE(std::ranges::equal(first.span(), whole(config).span()));
}

TEST(Phantom, without_noise_is_background_plus_illuminated_tissue) {
  config::SynthConfig config = small_config();
  config.noise = 0.0;
  config.foreground = 1000.0;
  const Phantom phantom(config);
  const Block<std::uint16_t> volume = whole(config);
  const Block<std::uint8_t> tissue = phantom.tissue_mask(1);
  for (std::int64_t i = 0; i < volume.size(); ++i) {
    const Extent3 p = unravel(i, config.shape);
    const auto at = [&](int axis) {
      return static_cast<double>(phantom.illumination(axis)[static_cast<std::size_t>(p[axis])]);
    };
    const double background = phantom.background().at(0, p.y, p.x);
    const double signal = volume.data()[i] - background;
    if (tissue.data()[i] == 0) {
      ASSERT_NEAR(signal, 0.0, 0.51) << to_string(p);
    } else {
      // The texture varies by a quarter around 1.
      const double texture = signal / (1000.0 * at(0) * at(1) * at(2));
      ASSERT_GT(texture, 0.745) << to_string(p);
      ASSERT_LT(texture, 1.255) << to_string(p);
    }
  }
}

TEST(Phantom, has_noise_of_the_square_root_of_the_counts) {
  config::SynthConfig config = small_config();
  config.foreground = 0.0;
  config.background = 10000.0;
  config.noise = 0.5;
  const Phantom phantom(config);
  const Block<std::uint16_t> volume = whole(config);
  double sum = 0.0;
  double squares = 0.0;
  for (std::int64_t i = 0; i < volume.size(); ++i) {
    const Extent3 p = unravel(i, config.shape);
    const double background = phantom.background().at(0, p.y, p.x);
    const double deviation = (volume.data()[i] - background) / std::sqrt(background);
    sum += deviation;
    squares += deviation * deviation;
  }
  const auto n = static_cast<double>(volume.size());
  EXPECT_NEAR(sum / n, 0.0, 0.01);
  EXPECT_NEAR(std::sqrt(squares / n), 0.5, 0.01);
}

TEST(Phantom, is_lit_between_the_loss_and_one) {
  config::SynthConfig config = small_config();
  config.illumination = 0.4;
  const Phantom phantom(config);
  for (int axis = 0; axis < 3; ++axis) {
    const auto& curve = phantom.illumination(axis);
    ASSERT_EQ(static_cast<std::int64_t>(curve.size()), config.shape[axis]);
    const auto [lo, hi] = std::ranges::minmax(curve);
    EXPECT_GE(lo, 0.599F);
    EXPECT_LT(lo, 0.65F);
    EXPECT_LE(hi, 1.0F);
    EXPECT_GT(hi, 0.99F);
  }
}

TEST(Phantom, has_planes_without_tissue_and_tissue_in_the_middle) {
  const Phantom phantom(small_config());
  const Block<std::uint8_t> tissue = phantom.tissue_mask(1);
  EXPECT_TRUE(std::ranges::all_of(tissue.plane(0).span(), [](auto m) { return m == 0; }));
  EXPECT_TRUE(std::ranges::all_of(tissue.plane(39).span(), [](auto m) { return m == 0; }));
  EXPECT_EQ(tissue.at(20, 25, 30), 1);
  const Block<std::uint8_t> coarse = phantom.tissue_mask(4);
  EXPECT_EQ(coarse.shape(), (Extent3{10, 12, 15}));
  EXPECT_EQ(coarse.at(5, 6, 7), 1);
  EXPECT_EQ(phantom.tissue_mask(1000).shape(), (Extent3{1, 1, 1}));
}

class SynthesizeTest : public testing::Test {
 protected:
  SynthesizeTest() { config_.output = folder_.string(); }
  ~SynthesizeTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() /
                                  ("flatfield_synth_test_" + std::to_string(getpid()) + "_" +
                                   testing::UnitTest::GetInstance()->current_test_info()->name());
  config::SynthConfig config_ = small_config();
};

TEST_F(SynthesizeTest, writes_the_tile_its_mask_and_the_truth) {
  config_.num_workers = 2;
  synthesize(config_);
  const std::string tile_path = (folder_ / config_.name).string();
  const ome::Tile tile = ome::Tile::open(storage::open_store(tile_path));
  ASSERT_EQ(tile.multiscale().levels.size(), 3U);
  EXPECT_EQ(tile.spatial_shape("2"), (Extent3{10, 12, 15}));
  EXPECT_EQ(tile.multiscale().levels[1].scale, (std::vector<double>{1, 1, 2.0, 1.496, 1.496}));

  const Block<std::uint16_t> expected = whole(config_);
  Block<std::uint16_t> found(config_.shape);
  zarr::ChunkScratch scratch;
  tile.open_volume("0", {}).read<std::uint16_t>({{0, 0, 0}, config_.shape}, found.view(), scratch);
  EXPECT_TRUE(std::ranges::equal(found.span(), expected.span()));

  const BitVolume mask =
      read_mask_tiff(folder_ / "masks" / ("phantom_" + config_.name + "_pred.tif"));
  EXPECT_EQ(mask, BitVolume(Phantom(config_).tissue_mask(16).view()));
  EXPECT_TRUE(std::filesystem::exists(tile_path + ".truth.json"));
  EXPECT_TRUE(std::filesystem::exists(tile_path + ".truth_background.tif"));
}

TEST_F(SynthesizeTest, replaces_a_tile_only_when_told_to) {
  synthesize(config_);
  try {
    synthesize(config_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutputExists);
  }
  config_.overwrite = true;
  config_.n_levels = 1;
  synthesize(config_);
  const ome::Tile tile = ome::Tile::open(storage::open_store((folder_ / config_.name).string()));
  EXPECT_EQ(tile.multiscale().levels.size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(folder_ / config_.name / "1"));
}

TEST_F(SynthesizeTest, keeps_an_earlier_tile_where_there_is_not_enough_memory) {
  synthesize(config_);
  config_.overwrite = true;
  config_.shape = {1, 1 << 20, 1 << 20};  // its background alone is 4 TiB
  try {
    synthesize(config_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory) << error.what();
  }
  const ome::Tile tile = ome::Tile::open(storage::open_store((folder_ / config_.name).string()));
  EXPECT_EQ(tile.multiscale().levels.size(), 3U);
}

TEST_F(SynthesizeTest, makes_nothing_where_the_output_is_a_url) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::create_directories(folder_);
  std::filesystem::current_path(folder_);
  for (const std::string output : {"s3://bucket/phantoms", "file:///phantoms", "https://host/phantoms"}) {
    config_.output = output;
    try {
      synthesize(config_);
      ADD_FAILURE() << output;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage) << output;
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace flatfield::pipeline
