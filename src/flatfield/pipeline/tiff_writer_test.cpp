#include <gtest/gtest.h>
#include <sys/resource.h>
#include <tiffio.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/tiff_file.h"
#include "support/temporary_folder.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

class TiffWriter : public testing::Test {
 protected:
  [[nodiscard]] std::string file_bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::ptrdiff_t files_in_folder() const {
    return std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator());
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "plane.tif";
};

TEST_F(TiffWriter, writes_the_floats_of_a_plane) {
  Block<float> plane({1, 5, 7});
  std::mt19937 random(5);
  for (float& v : plane.span()) v = static_cast<float>(random() % 10000) / 7.0F;
  write_plane_tiff(path_, plane.view());
  TIFF* tiff = TIFFOpen(path_.c_str(), "r");
  ASSERT_NE(tiff, nullptr);
  std::uint16_t bits = 0;
  std::uint16_t format = 0;
  TIFFGetField(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
  TIFFGetField(tiff, TIFFTAG_SAMPLEFORMAT, &format);
  EXPECT_EQ(bits, 32);
  EXPECT_EQ(format, SAMPLEFORMAT_IEEEFP);
  const char* description = nullptr;
  ASSERT_NE(TIFFGetField(tiff, TIFFTAG_IMAGEDESCRIPTION, &description), 0);
  EXPECT_EQ(std::string(description).rfind("ImageJ=", 0), 0U);
  std::vector<float> row(7);
  for (std::uint32_t y = 0; y < 5; ++y) {
    ASSERT_GE(TIFFReadScanline(tiff, row.data(), y, 0), 0);
    EXPECT_TRUE(std::equal(row.begin(), row.end(), plane.view().row(0, y)));
  }
  EXPECT_EQ(TIFFReadDirectory(tiff), 0) << "one page";
  TIFFClose(tiff);
}

TEST_F(TiffWriter, leaves_the_earlier_file_and_nothing_else_where_it_fails_on_the_way) {
  const Block<float> earlier({1, 4, 4}, 2.0F);
  write_plane_tiff(path_, earlier.view());
  const std::string before = file_bytes();
  // The only failure in the middle of a write that needs no special disk: a limit on file sizes.
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small_limit{1000, old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small_limit), 0);
  ErrorCode code = ErrorCode::kInternal;
  try {
    write_plane_tiff(path_, Block<float>({1, 100, 100}, 3.0F).view());
  } catch (const Error& error) {
    code = error.code();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(code, ErrorCode::kWriteFailed);
  EXPECT_EQ(file_bytes(), before);
  EXPECT_EQ(files_in_folder(), 1);
}

TEST_F(TiffWriter, writes_files_of_the_longest_names_and_touches_no_other) {
  const std::string other = folder_.write("plane.tif.tmp", "of somebody else");
  const Block<float> plane({1, 4, 4}, 2.0F);
  for (const fs::path& path : {path_, folder_.path() / (std::string(251, 'n') + ".tif")}) {
    write_plane_tiff(path, plane.view());
    EXPECT_TRUE(std::ranges::equal(read_plane_tiff(path).span(), plane.span()));
  }
  EXPECT_EQ(fs::file_size(other), 16U);
  EXPECT_EQ(files_in_folder(), 3);
}

TEST_F(TiffWriter, leaves_nothing_where_the_file_cannot_get_its_name) {
  fs::create_directories(path_ / "inside");
  const Block<float> plane({1, 4, 4}, 2.0F);
  try {
    write_plane_tiff(path_, plane.view());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
    EXPECT_EQ(error.where(), path_.string());
  }
  EXPECT_EQ(files_in_folder(), 1);
}

TEST_F(TiffWriter, says_that_a_file_cannot_be_written) {
  const Block<std::uint8_t> mask({1, 2, 2}, 1);
  try {
    write_mask_tiff(folder_ / "missing/mask.tif", mask.view());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
  }
}

}  // namespace
}  // namespace flatfield::pipeline
