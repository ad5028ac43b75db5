#include "flatfield/pipeline/reference_background.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/tiff_file.h"
#include "support/temporary_folder.h"

namespace flatfield::pipeline {
namespace {

using Places = std::vector<std::string>;

TEST(ReferenceBackgroundPlaces, of_a_grid_tile_are_that_of_its_channel_and_that_of_all) {
  EXPECT_EQ(reference_background_places("/data/denoised/SPIM.ome.zarr/tile_x_0003_y_0001_z_0000_ch_488.zarr"),
            (Places{"/data/denoised/derivatives/bkg_tile_x_0003_y_0001_z_0000_ch_488.tiff",
                    "/data/denoised/derivatives/bkg_tile_x_0003_y_0001_z_0000.tiff"}));
  EXPECT_EQ(reference_background_places("/data/a/tile_x_3_y_1_z_0.zarr/"),
            (Places{"/data/derivatives/bkg_tile_x_3_y_1_z_0.tiff"}));
}

TEST(ReferenceBackgroundPlaces, of_a_numbered_tile_is_its_background_collection) {
  EXPECT_EQ(reference_background_places("/a/b/c/tile_000015_ch_561.ome.zarr"),
            (Places{"/a/b/derivatives/tile_000015_ch_561_background_collection.tiff"}));
}

TEST(ReferenceBackgroundPlaces, of_a_relative_location_are_those_of_the_folders_that_it_means) {
  const auto above = std::filesystem::current_path().parent_path();
  EXPECT_EQ(reference_background_places("./tile_x_3_y_1_z_0.zarr"),
            (Places{above / "derivatives/bkg_tile_x_3_y_1_z_0.tiff"}));
  EXPECT_EQ(reference_background_places("../tile_x_3_y_1_z_0.zarr/"),
            (Places{above.parent_path() / "derivatives/bkg_tile_x_3_y_1_z_0.tiff"}));
}

TEST(ReferenceBackgroundPlaces, of_a_tile_without_an_identifier_are_none) {
  storage::StoreOpener stores;
  EXPECT_TRUE(reference_background_places("/a/b/brain.zarr").empty());
  EXPECT_THROW((void)read_reference_background("/a/b/brain.zarr", stores), Error);
}

TEST(ReferenceBackground, is_found_at_the_first_of_the_places_that_is_there) {
  storage::StoreOpener stores;
  const TemporaryFolder folder;
  const std::string tile = folder / "denoised/SPIM.ome.zarr/tile_x_0_y_0_z_0_ch_488.zarr";
  const Places places = reference_background_places(tile);
  EXPECT_EQ(find_reference_background(tile, stores), std::nullopt);
  std::filesystem::create_directories(folder.path() / "denoised/derivatives");
  for (const std::size_t i : {1U, 0U}) {
    write_plane_tiff(places[i], Block<float>({1, 3, 4}, 7.5F).view());
    EXPECT_EQ(find_reference_background(tile, stores), places[i]);
  }
}

TEST(ReferenceBackground, is_the_first_of_the_places_that_is_there) {
  storage::StoreOpener stores;
  const TemporaryFolder folder;
  const std::string tile = folder / "denoised/SPIM.ome.zarr/tile_x_0_y_0_z_0_ch_488.zarr";
  const Places places = reference_background_places(tile);
  std::filesystem::create_directories(folder.path() / "denoised/derivatives");
  write_plane_tiff(places[1], Block<float>({1, 3, 4}, 7.5F).view());
  EXPECT_EQ(read_reference_background(tile, stores).path, places[1]);
  EXPECT_EQ(read_reference_background(tile, stores).image.at(0, 2, 3), 7.5F);
  write_plane_tiff(places[0], Block<float>({1, 3, 4}, 8.5F).view());
  EXPECT_EQ(read_reference_background(tile, stores).image.at(0, 0, 0), 8.5F);
}

TEST(ReferenceBackground, that_is_not_there_is_an_error_that_lists_the_names_tried) {
  storage::StoreOpener stores;
  const TemporaryFolder folder;
  try {
    (void)read_reference_background(folder / "a/b/tile_x_0_y_0_z_0_ch_488.zarr", stores);
    FAIL() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    const std::string message = error.what();
    EXPECT_NE(message.find("bkg_tile_x_0_y_0_z_0_ch_488.tiff, bkg_tile_x_0_y_0_z_0.tiff"), std::string::npos)
        << message;
    EXPECT_NE(message.find("a/derivatives"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace flatfield::pipeline
