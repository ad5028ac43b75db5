#include "flatfield/pipeline/mask_catalog.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/tiff_file.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTile = "tile_000005_ch_561.zarr";

template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return {ErrorCode::kInternal, ""};
}

class MaskCatalogTest : public testing::Test {
 protected:
  MaskCatalogTest() { fs::create_directories(folder_); }
  ~MaskCatalogTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  /// Makes an empty file at a path below the folder.
  void touch(const std::string& name) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name).close();
  }
  /// Path below the folder of the mask of a tile; "" if there is none.
  [[nodiscard]] std::string found(const std::string& tile) const {
    const auto file = MaskCatalog(folder_.string(), stores_, memory_).find_file(tile);
    return file ? fs::path(*file).lexically_relative(folder_).string() : "";
  }
  void write_mask(const std::string& name, const Block<std::uint8_t>& mask) const {
    write_mask_tiff(folder_ / name, mask.view());
  }

  /// As learning calls it, with the estimation level of a volume.
  static std::optional<BitVolume> foreground(MaskCatalog& catalog, const std::string& tile,
                                             const Block<float>& v_low) {
    execution::ProcessGroup alone;
    return catalog.foreground(
        tile, v_low.shape(), /*is_shared=*/true,
        [&](BitVolume& mask) { mask.clear_where_zero({0, 0, 0}, v_low.view()); }, alone);
  }

  mutable storage::StoreOpener stores_;
  mutable execution::MemoryBudget memory_{1 << 20};
  fs::path folder_ =
      fs::temp_directory_path() / ("flatfield_catalog_test_" + std::to_string(getpid()) + "_" +
                                   testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(MaskCatalogTest, finds_the_mask_by_the_identifier_whatever_the_channel) {
  touch("asset_tile_000004_ch_488.zarr_pred.tif");
  touch("asset_tile_000005_ch_488.zarr_pred.tif");
  touch("asset_tile_x_0001_y_0002_z_0000_ch_488.zarr_pred.tiff");
  EXPECT_EQ(found(kTile), "asset_tile_000005_ch_488.zarr_pred.tif");
  EXPECT_EQ(found("tile_000005_ch_488.ome.zarr"), "asset_tile_000005_ch_488.zarr_pred.tif");
  EXPECT_EQ(found("tile_x_0001_y_0002_z_0000_ch_561.zarr"),
            "asset_tile_x_0001_y_0002_z_0000_ch_488.zarr_pred.tiff");
}

TEST_F(MaskCatalogTest, does_not_take_the_mask_of_another_tile) {
  touch("tile_0000051_ch_561.tif");
  touch("tile_00005_ch_561.tif");
  touch("tile_x_0005_y_0000_z_0000_ch_561.tif");
  touch("mask_000005.tif");
  touch("000005.tif");
  EXPECT_EQ(found(kTile), "");
}

TEST_F(MaskCatalogTest, takes_only_tiff_files) {
  touch("tile_000005_ch_561.tif.txt");
  touch("tile_000005_ch_561.png");
  touch("tile_000005_ch_561");
  fs::create_directories(folder_ / "tile_000005_folder.tif");
  fs::create_symlink(folder_ / "missing", folder_ / "tile_000005_dangling.tif");
  EXPECT_EQ(found(kTile), "");
  for (const std::string name : {"tile_000005_ch_561.tiff", "tile_000005_ch_488.TIF", "tile_000005_ch_405.Tiff"}) {
    touch(name);
    EXPECT_EQ(found(kTile), name);
  }
}

TEST_F(MaskCatalogTest, takes_the_first_in_sorted_path_order) {
  touch("b/tile_000005_ch_488.tif");
  touch("c/tile_000005_ch_488.tif");
  EXPECT_EQ(found(kTile), "b/tile_000005_ch_488.tif");
  touch("a/deep/down/tile_000005_ch_561.tif");
  EXPECT_EQ(found(kTile), "a/deep/down/tile_000005_ch_561.tif");
}

TEST_F(MaskCatalogTest, follows_links_to_folders_and_files) {
  const fs::path elsewhere = folder_.string() + "_elsewhere";
  fs::create_directories(elsewhere);
  std::ofstream(elsewhere / "tile_000005_ch_488.tif").close();
  fs::create_directory_symlink(elsewhere, folder_ / "link");
  EXPECT_EQ(found(kTile), "link/tile_000005_ch_488.tif");
  fs::create_symlink(elsewhere / "tile_000005_ch_488.tif", folder_ / "a_tile_000005.tif");
  EXPECT_EQ(found(kTile), "a_tile_000005.tif");
  fs::remove_all(elsewhere);
}

TEST_F(MaskCatalogTest, searches_folders_that_link_to_each_other_once) {
  touch("b/tile_000005_ch_488.tif");
  fs::create_directory_symlink(folder_, folder_ / "b" / "up");
  fs::create_directory_symlink(folder_ / "b", folder_ / "c");
  EXPECT_EQ(found(kTile), "b/tile_000005_ch_488.tif");
}

TEST_F(MaskCatalogTest, takes_nothing_of_the_results_directory_unless_that_is_where_masks_are) {
  const std::string saved = "a_results/part/tile_000005_ch_561.zarr_bkg.tif";
  const std::string mask = "b/tile_000005_ch_488.tif";
  touch(saved);
  touch(mask);
  const auto found_beside = [&](const fs::path& masks, const fs::path& results) {
    const auto file = MaskCatalog(masks.string(), stores_, memory_, results.string()).find_file(kTile);
    return file ? fs::path(*file).lexically_relative(folder_).string() : "";
  };
  EXPECT_EQ(found_beside(folder_, ""), saved);
  EXPECT_EQ(found_beside(folder_, folder_ / "c_not_there"), saved);
  EXPECT_EQ(found_beside(folder_, folder_ / "a_results"), mask);
  EXPECT_EQ(found_beside(folder_, folder_ / "b" / ".." / "a_results" / ""), mask);
  EXPECT_EQ(found_beside(folder_ / "a_results", folder_ / "a_results"), saved);
  EXPECT_EQ(found_beside(folder_ / "a_results" / "part", folder_ / "a_results"), saved);
  fs::create_directory_symlink(folder_ / "a_results", folder_ / "a_link");
  EXPECT_EQ(found_beside(folder_, folder_ / "a_results"), mask);
  EXPECT_EQ(found_beside(folder_, folder_ / "a_link"), mask);
}

TEST_F(MaskCatalogTest, refuses_a_folder_that_is_none) {
  EXPECT_EQ(error_of([&] { MaskCatalog((folder_ / "missing").string(), stores_, memory_); }).code(),
            ErrorCode::kNotFound);
  touch("file");
  EXPECT_EQ(error_of([&] { MaskCatalog((folder_ / "file").string(), stores_, memory_); }).code(),
            ErrorCode::kNotFound);
}

TEST_F(MaskCatalogTest, refuses_a_tile_without_identifier) {
  EXPECT_EQ(error_of([&] { (void)found("brain.zarr"); }).code(), ErrorCode::kUsage);
  Block<float> v_low({1, 1, 1}, 1.0F);
  MaskCatalog catalog(folder_.string(), stores_, memory_);
  EXPECT_EQ(
      error_of([&] { (void)foreground(catalog, "brain.zarr", v_low); }).code(),
      ErrorCode::kUsage);
}

TEST_F(MaskCatalogTest, has_no_foreground_without_a_file) {
  const Block<float> v_low({2, 2, 2}, 1.0F);
  MaskCatalog catalog(folder_.string(), stores_, memory_);
  EXPECT_FALSE(foreground(catalog, kTile, v_low));
}

TEST_F(MaskCatalogTest, makes_the_foreground_of_the_cleaned_mask_and_the_signal) {
  Block<std::uint8_t> mask({6, 6, 6}, 0);
  for (std::int64_t z = 1; z < 5; ++z)
    for (std::int64_t y = 1; y < 5; ++y)
      for (std::int64_t x = 1; x < 5; ++x) mask.at(z, y, x) = 1;
  mask.at(2, 2, 2) = 0;  // a hole
  write_mask("tile_000005_ch_488.tif", mask);
  Block<float> v_low({6, 6, 6}, 3.0F);
  v_low.at(4, 4, 4) = 0.0F;
  MaskCatalog catalog(folder_.string(), stores_, memory_);
  const auto made = foreground(catalog, kTile, v_low);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->at(2, 2, 2));
  EXPECT_FALSE(made->at(4, 4, 4));
  EXPECT_FALSE(made->at(0, 0, 0));
  EXPECT_EQ(made->count(), 63);
}

TEST_F(MaskCatalogTest, shares_the_foreground_of_the_first_volume_with_the_other_channels) {
  const Block<std::uint8_t> mask({4, 4, 4}, 1);
  write_mask("tile_000005_ch_488.tif", mask);
  Block<float> first({4, 4, 4}, 1.0F);
  first.at(0, 0, 0) = 0.0F;
  MaskCatalog catalog(folder_.string(), stores_, memory_);
  ASSERT_TRUE(foreground(catalog, "tile_000005_ch_488.zarr", first));
  fs::remove(folder_ / "tile_000005_ch_488.tif");

  Block<float> second({4, 4, 4}, 1.0F);
  second.at(3, 3, 3) = 0.0F;
  const auto shared = foreground(catalog, "tile_000005_ch_561.zarr", second);
  ASSERT_TRUE(shared);
  EXPECT_FALSE(shared->at(0, 0, 0)) << "where the first volume had no signal";
  EXPECT_TRUE(shared->at(3, 3, 3)) << "the signal of the second is not asked";

  const Block<float> larger({8, 8, 8}, 1.0F);
  const auto resized = foreground(catalog, "tile_000005_ch_600.zarr", larger);
  ASSERT_TRUE(resized);
  EXPECT_EQ(resized->shape(), larger.shape());
  EXPECT_EQ(resized->size() - resized->count(), 8);
}

TEST_F(MaskCatalogTest, takes_what_an_earlier_run_has_found_only_for_tiles_to_come) {
  const Block<float> v_low({2, 3, 4}, 1.0F);
  BitVolume earlier({2, 3, 4});
  earlier.set(1, 2, 3, true);
  MaskCatalog catalog(folder_.string(), stores_, memory_);
  catalog.adopt(kTile, earlier);
  EXPECT_FALSE(foreground(catalog, kTile, v_low).has_value());  // it would be a second one in memory
  catalog.expect(std::vector<std::string>{std::string("somewhere/") + kTile});
  catalog.adopt(kTile, earlier);
  const auto found = foreground(catalog, kTile, v_low);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(*found, earlier);
}

TEST_F(MaskCatalogTest, reserves_a_file_of_another_shape_while_its_mask_is_made) {
  const Block<std::uint8_t> mask({6, 5, 4}, 1);
  write_mask("tile_000005_ch_488.tif", mask);
  const std::int64_t bytes = BitVolume::bytes_of(mask.shape());
  const auto peak_with = [&](const Extent3& level, std::int64_t limit) {
    execution::MemoryBudget memory(limit);
    MaskCatalog catalog(folder_.string(), stores_, memory);
    EXPECT_EQ(catalog.making_bytes(kTile, level), level == mask.shape() ? 0 : bytes);
    EXPECT_TRUE(foreground(catalog, kTile, Block<float>(level, 1.0F)));
    EXPECT_EQ(catalog.making_bytes("tile_000005_ch_561.zarr", level), 0) << "it is known";
    EXPECT_EQ(catalog.making_bytes("tile_000005_ch_561.zarr", {1, 1, 1}), BitVolume::bytes_of(level));
    EXPECT_EQ(memory.free_bytes(), limit);
    return memory.peak_bytes();
  };
  EXPECT_EQ(peak_with(mask.shape(), 0), 0) << "it becomes the foreground itself";
  EXPECT_EQ(peak_with({3, 5, 4}, bytes), bytes);
  EXPECT_EQ(error_of([&] { (void)peak_with({3, 5, 4}, bytes - 1); }).code(), ErrorCode::kMemory);
}

TEST_F(MaskCatalogTest, reserves_what_it_keeps_for_other_tiles_between_the_tiles) {
  const std::vector<std::string> tiles{"tile_000001_ch_1.zarr", "tile_000002_ch_1.zarr", "tile_000001_ch_2.zarr",
                                       "tile_000002_ch_2.zarr"};
  const Extent3 shape{20, 30, 40};
  execution::MemoryBudget memory(1 << 20);
  MaskCatalog catalog(folder_.string(), stores_, memory);
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    catalog.expect(std::span(tiles).subspan(i + 1));
    catalog.adopt(tiles[i], BitVolume(shape, true));
    EXPECT_EQ(catalog.kept_bytes(), kept.empty() ? 0 : kept.back()) << "the tile itself has counted it";
    catalog.forget_all_but(std::span(tiles).subspan(i + 1));
    kept.push_back(catalog.kept_bytes());
    EXPECT_EQ(memory.free_bytes(), memory.limit_bytes() - kept.back());
  }
  const std::int64_t one = PackedMask(BitVolume(shape, true)).bytes();
  EXPECT_EQ(kept, (std::vector<std::int64_t>{one, 2 * one, one, 0}));

  execution::MemoryBudget small(one - 1);
  MaskCatalog refusing(folder_.string(), stores_, small);
  refusing.expect(std::span(tiles).subspan(1));
  refusing.adopt(tiles[0], BitVolume(shape, true));
  EXPECT_EQ(error_of([&] { refusing.forget_all_but(std::span(tiles).subspan(1)); }).code(), ErrorCode::kMemory);
}

TEST_F(MaskCatalogTest, needs_no_memory_for_a_file_that_is_not_there_or_cannot_be_read) {
  const MaskCatalog catalog(folder_.string(), stores_, memory_);
  EXPECT_EQ(catalog.making_bytes(kTile, {2, 2, 2}), 0);
  touch("tile_000005_ch_488.tif");
  EXPECT_EQ(catalog.making_bytes(kTile, {2, 2, 2}), 0);
}

TEST_F(MaskCatalogTest, names_the_file_of_a_mask_without_foreground) {
  write_mask("tile_000005_ch_488.tif", Block<std::uint8_t>({2, 2, 2}, 0));
  const Block<float> v_low({2, 2, 2}, 1.0F);
  MaskCatalog catalog(folder_.string(), stores_, memory_);
  const Error error = error_of([&] { (void)foreground(catalog, kTile, v_low); });
  EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  EXPECT_NE(error.where().find("tile_000005_ch_488.tif"), std::string::npos);
}

}  // namespace
}  // namespace flatfield::pipeline
