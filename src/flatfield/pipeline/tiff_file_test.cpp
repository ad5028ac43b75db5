#include "flatfield/pipeline/tiff_file.h"

#include <gtest/gtest.h>
#include <tiffio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

/// How a test file is to be written.
struct Format {
  std::uint16_t bits = 8;
  std::uint16_t compression = COMPRESSION_NONE;
  std::uint32_t tile_edge = 0;  ///< 0 = strips
  const char* mode = "w";       ///< libtiff's: "wb" big endian, "w8" BigTIFF
};

class TiffFile : public testing::Test {
 protected:
  TiffFile() { fs::create_directories(folder_); }
  ~TiffFile() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  [[nodiscard]] static Block<std::uint8_t> random_mask(const Extent3& shape, unsigned seed) {
    std::mt19937 random(seed);
    Block<std::uint8_t> mask(shape);
    for (std::uint8_t& m : mask.span()) m = static_cast<std::uint8_t>(random() % 2);
    return mask;
  }

  /// A row of samples: foreground becomes any value but 0.
  static std::vector<std::uint8_t> encode_row(const Block<std::uint8_t>& mask, std::int64_t z,
                                              std::int64_t y, std::int64_t x0, std::int64_t width,
                                              std::uint16_t bits) {
    std::vector<std::uint8_t> row(static_cast<std::size_t>((width * bits + 7) / 8));
    for (std::int64_t x = 0; x < width; ++x) {
      const bool inside =
          y < mask.shape().y && x0 + x < mask.shape().x && mask.at(z, y, x0 + x) != 0;
      if (!inside) continue;
      const auto i = static_cast<std::size_t>(x);
      if (bits == 1) row[i / 8] |= static_cast<std::uint8_t>(0x80U >> (i % 8));
      // Values whose low or high byte alone is 0 are foreground too.
      if (bits == 8) row[i] = static_cast<std::uint8_t>(1 + x % 255);
      if (bits == 16) row[2 * i + static_cast<std::size_t>(x % 2)] = 1;
    }
    return row;
  }

  void write(const Block<std::uint8_t>& mask, const Format& format) const {
    TIFF* tiff = TIFFOpen(path_.c_str(), format.mode);
    ASSERT_NE(tiff, nullptr);
    for (std::int64_t z = 0; z < mask.shape().z; ++z) {
      TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(mask.shape().x));
      TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(mask.shape().y));
      TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, format.bits);
      TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
      TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
      TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
      TIFFSetField(tiff, TIFFTAG_COMPRESSION, format.compression);
      if (format.tile_edge == 0) {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 3);
        for (std::int64_t y = 0; y < mask.shape().y; ++y) {
          std::vector<std::uint8_t> row = encode_row(mask, z, y, 0, mask.shape().x, format.bits);
          ASSERT_GE(TIFFWriteScanline(tiff, row.data(), static_cast<std::uint32_t>(y), 0), 0);
        }
      } else {
        const auto edge = static_cast<std::int64_t>(format.tile_edge);
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, format.tile_edge);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, format.tile_edge);
        for (std::int64_t y0 = 0; y0 < mask.shape().y; y0 += edge)
          for (std::int64_t x0 = 0; x0 < mask.shape().x; x0 += edge) {
            std::vector<std::uint8_t> tile;
            for (std::int64_t y = y0; y < y0 + edge; ++y) {
              const auto row = encode_row(mask, z, y, x0, edge, format.bits);
              tile.insert(tile.end(), row.begin(), row.end());
            }
            ASSERT_GE(TIFFWriteTile(tiff, tile.data(), static_cast<std::uint32_t>(x0),
                                    static_cast<std::uint32_t>(y0), 0, 0),
                      0);
          }
      }
      ASSERT_NE(TIFFWriteDirectory(tiff), 0);
    }
    TIFFClose(tiff);
  }

  /// One uncompressed page with ImageJ's description, the other planes behind it without a page.
  void write_imagej(const Block<std::uint8_t>& first_page, const std::string& description,
                    std::uint64_t behind = 0) const {
    TIFF* tiff = TIFFOpen(path_.c_str(), "w");
    ASSERT_NE(tiff, nullptr);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(first_page.shape().x));
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(first_page.shape().y));
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, static_cast<std::uint32_t>(first_page.shape().y));
    TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, description.c_str());
    // The directory before the pixels, as ImageJ does.
    ASSERT_NE(TIFFWriteCheck(tiff, 0, "test"), 0);
    std::vector<std::uint8_t> pixels(
        first_page.span().begin(),
        first_page.span().begin() + first_page.shape().y * first_page.shape().x);
    ASSERT_GE(TIFFWriteRawStrip(tiff, 0, pixels.data(), static_cast<tmsize_t>(pixels.size())), 0);
    TIFFClose(tiff);
    if (behind == 0) return;
    // libtiff puts the directory behind the pixels: make the file anew with the pixels at its end.
    std::string bytes = file_bytes();
    const std::uint64_t pixels_at = find_strip_offset();
    std::string stack(reinterpret_cast<const char*>(first_page.data()),
                      static_cast<std::size_t>(first_page.size()));
    move_strip_to_the_end(bytes, pixels_at, stack);
    std::ofstream(path_, std::ios::binary) << bytes;
  }

  [[nodiscard]] std::string file_bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  [[nodiscard]] std::uint64_t find_strip_offset() const {
    TIFF* tiff = TIFFOpen(path_.c_str(), "r");
    const std::uint64_t* offsets = nullptr;
    TIFFGetField(tiff, TIFFTAG_STRIPOFFSETS, &offsets);
    const std::uint64_t offset = offsets[0];
    TIFFClose(tiff);
    return offset;
  }

  /// Appends `stack` and lets the entry of the strip point to it.
  static void move_strip_to_the_end(std::string& bytes, std::uint64_t pixels_at,
                                    const std::string& stack) {
    const auto old_offset = static_cast<std::uint32_t>(pixels_at);
    const auto new_offset = static_cast<std::uint32_t>(bytes.size());
    std::uint32_t directory = 0;
    std::memcpy(&directory, bytes.data() + 4, 4);
    std::uint16_t entries = 0;
    std::memcpy(&entries, bytes.data() + directory, 2);
    for (std::size_t i = 0; i < entries; ++i) {
      char* entry = bytes.data() + directory + 2 + 12 * i;
      std::uint16_t tag = 0;
      std::memcpy(&tag, entry, 2);
      if (tag != TIFFTAG_STRIPOFFSETS) continue;
      std::uint32_t value = 0;
      std::memcpy(&value, entry + 8, 4);
      ASSERT_EQ(value, old_offset);
      std::memcpy(entry + 8, &new_offset, 4);
    }
    bytes += stack;
  }

  void expect_equal(const Block<std::uint8_t>& expected) const {
    EXPECT_EQ(read_mask_tiff(path_), BitVolume(expected.view()));
  }

  [[nodiscard]] Error refusal() const {
    try {
      (void)read_mask_tiff(path_);
    } catch (const Error& error) {
      EXPECT_NE(error.where().find(path_.string()), std::string::npos) << error.what();
      return error;
    }
    ADD_FAILURE() << "no error was thrown";
    return {ErrorCode::kInternal, ""};
  }

  fs::path folder_ =
      fs::temp_directory_path() / ("flatfield_tiff_test_" + std::to_string(getpid()) + "_" +
                                   testing::UnitTest::GetInstance()->current_test_info()->name());
  fs::path path_ = folder_ / "mask.tif";
};

TEST_F(TiffFile, gives_back_the_mask_that_was_written) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::mt19937 random(seed);
    const auto length = [&](unsigned most) {
      return static_cast<std::int64_t>(1 + random() % most);
    };
    const Block<std::uint8_t> mask = random_mask({length(5), length(40), length(40)}, seed);
    write_mask_tiff(path_, mask.view());
    expect_equal(mask);
  }
}

TEST_F(TiffFile, is_written_from_a_view_of_a_larger_block) {
  const Block<std::uint8_t> whole = random_mask({5, 9, 11}, 1);
  const Box3 box{{1, 2, 3}, {3, 5, 6}};
  write_mask_tiff(path_, whole.view().sub(box));
  Block<std::uint8_t> part(box.shape);
  copy_block<std::uint8_t>(whole.view().sub(box), part.view());
  expect_equal(part);
}

TEST_F(TiffFile, of_every_type_layout_and_compression_is_read) {
  for (const std::uint16_t bits : {1, 8, 16})
    for (const std::uint16_t compression :
         {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,
          COMPRESSION_PACKBITS})
      for (const std::uint32_t tile_edge : {0U, 16U})
        for (const char* mode : {"w", "wb", "w8"}) {
          SCOPED_TRACE(testing::Message() << bits << " bits, compression " << compression
                                          << ", tile edge " << tile_edge << ", mode " << mode);
          const Block<std::uint8_t> mask = random_mask({3, 21, 37}, bits + tile_edge);
          write(mask, {bits, compression, tile_edge, mode});
          expect_equal(mask);
        }
}

TEST_F(TiffFile, of_one_bit_may_be_compressed_for_fax) {
  const Block<std::uint8_t> mask = random_mask({2, 8, 24}, 4);
  write(mask, {1, COMPRESSION_CCITTFAX4, 0, "w"});
  expect_equal(mask);
}

TEST_F(TiffFile, of_imagej_with_one_page_and_many_planes_is_read) {
  const Block<std::uint8_t> mask = random_mask({4, 5, 6}, 2);
  write_imagej(mask, "ImageJ=1.54f\nimages=4\nslices=4\nloop=false\n", 1);
  expect_equal(mask);
}

TEST_F(TiffFile, of_imagej_that_ends_before_its_planes_is_an_error) {
  const Block<std::uint8_t> mask = random_mask({4, 5, 6}, 2);
  for (const std::string planes :
       {"5", "1000000", "9223372036854775807", "4611686018427387904", "99999999999999999999"}) {
    write_imagej(mask, "ImageJ=1.54f\nimages=" + planes + "\n", 1);
    EXPECT_EQ(refusal().code(), ErrorCode::kBadInput) << planes;
  }
}

TEST_F(TiffFile, of_imagej_with_a_single_plane_is_a_page) {
  Block<std::uint8_t> mask = random_mask({1, 5, 6}, 2);
  for (const std::string description : {"ImageJ=1.54f\nimages=1\n", "ImageJ=1.54f\n",
                                        "ImageJ=1.54f\nimages=-3\n", "not ImageJ, images=7"}) {
    write_imagej(mask, description);
    expect_equal(mask);
  }
}

TEST_F(TiffFile, that_is_no_mask_is_refused) {
  Block<float> plane({1, 3, 4}, 1.5F);
  write_plane_tiff(path_, plane.view());
  EXPECT_EQ(refusal().code(), ErrorCode::kUnsupported);
}

TEST_F(TiffFile, with_pages_of_different_size_is_refused) {
  const Block<std::uint8_t> first = random_mask({1, 4, 4}, 1);
  write(first, {});
  Format format;
  format.mode = "a";
  write(random_mask({1, 4, 5}, 1), format);
  EXPECT_EQ(refusal().code(), ErrorCode::kBadInput);
}

TEST_F(TiffFile, that_is_missing_empty_or_no_tiff_is_an_error) {
  EXPECT_EQ(refusal().code(), ErrorCode::kNotFound);
  std::ofstream(path_).close();
  EXPECT_EQ(refusal().code(), ErrorCode::kBadInput);
  std::ofstream(path_) << "this is a text file, not a TIFF file, whatever its name says";
  EXPECT_EQ(refusal().code(), ErrorCode::kBadInput);
}

TEST_F(TiffFile, that_is_cut_off_is_an_error) {
  const Block<std::uint8_t> mask = random_mask({3, 30, 30}, 3);
  for (const std::uint32_t tile_edge : {0U, 16U}) {
    write(mask, {8, COMPRESSION_NONE, tile_edge, "w"});
    const std::string bytes = file_bytes();
    for (std::size_t length = 0; length < bytes.size(); length += 37) {
      std::ofstream(path_, std::ios::binary) << bytes.substr(0, length);
      EXPECT_THROW((void)read_mask_tiff(path_), Error)
          << length << " of " << bytes.size() << " bytes";
    }
  }
}

TEST_F(TiffFile, that_is_damaged_is_an_error_or_a_mask_but_nothing_worse) {
  const Block<std::uint8_t> mask = random_mask({2, 17, 19}, 3);
  std::mt19937 random(11);
  int refused = 0;
  for (const Format& format :
       {Format{8, COMPRESSION_NONE, 0, "w"}, Format{8, COMPRESSION_ADOBE_DEFLATE, 0, "w"},
        Format{16, COMPRESSION_LZW, 0, "w"}, Format{8, COMPRESSION_NONE, 16, "w"},
        Format{1, COMPRESSION_PACKBITS, 16, "w"}, Format{8, COMPRESSION_ADOBE_DEFLATE, 0, "w8"}}) {
    write(mask, format);
    const std::string bytes = file_bytes();
    for (int repeat = 0; repeat < 400; ++repeat) {
      std::string damaged = bytes;
      for (std::uint32_t n = 1 + random() % 4; n > 0; --n)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      std::ofstream(path_, std::ios::binary) << damaged;
      try {
        (void)read_mask_tiff(path_);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
}

TEST_F(TiffFile, with_any_directory_entry_damaged_is_an_error_or_a_mask) {
  const Block<std::uint8_t> mask = random_mask({1, 17, 19}, 3);
  std::mt19937 random(12);
  for (const std::uint32_t tile_edge : {0U, 16U}) {
    write(mask, {8, COMPRESSION_NONE, tile_edge, "w"});
    const std::string bytes = file_bytes();
    std::uint32_t directory = 0;
    std::memcpy(&directory, bytes.data() + 4, 4);
    std::uint16_t entries = 0;
    std::memcpy(&entries, bytes.data() + directory, 2);
    for (std::size_t entry = 0; entry < entries; ++entry)
      for (const std::uint32_t value :
           {0U, 1U, 16U, 65536U, 0x100000U, 0x7ffffff0U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
        std::string damaged = bytes;
        std::memcpy(damaged.data() + directory + 2 + 12 * entry + 8, &value, 4);
        std::ofstream(path_, std::ios::binary) << damaged;
        try {
          (void)read_mask_tiff(path_);
        } catch (const Error&) {
        }
      }
  }
}

/// Writes `values` as the first page of two, as samples of type T.
template <class T>
void write_plane(const fs::path& path, const Block<float>& values, std::uint16_t format,
                 std::uint16_t compression, std::uint32_t tile_edge) {
  TIFF* tiff = TIFFOpen(path.c_str(), "w");
  ASSERT_NE(tiff, nullptr);
  const Extent3& shape = values.shape();
  for (int page = 0; page < 2; ++page) {
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(shape.x));
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(shape.y));
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8 * sizeof(T));
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, format);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, compression);
    const auto samples = [&](std::int64_t y, std::int64_t x0, std::int64_t count) {
      std::vector<T> row(static_cast<std::size_t>(count));
      for (std::int64_t x = x0; x < std::min(x0 + count, shape.x) && y < shape.y; ++x)
        row[static_cast<std::size_t>(x - x0)] = page == 0 ? static_cast<T>(values.at(0, y, x)) : T{77};
      return row;
    };
    if (tile_edge == 0) {
      TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 2);
      for (std::int64_t y = 0; y < shape.y; ++y) {
        std::vector<T> row = samples(y, 0, shape.x);
        ASSERT_GE(TIFFWriteScanline(tiff, row.data(), static_cast<std::uint32_t>(y), 0), 0);
      }
    } else {
      TIFFSetField(tiff, TIFFTAG_TILEWIDTH, tile_edge);
      TIFFSetField(tiff, TIFFTAG_TILELENGTH, tile_edge);
      for (std::int64_t y0 = 0; y0 < shape.y; y0 += tile_edge)
        for (std::int64_t x0 = 0; x0 < shape.x; x0 += tile_edge) {
          std::vector<T> tile;
          for (std::int64_t y = y0; y < y0 + tile_edge; ++y)
            for (const T value : samples(y, x0, tile_edge)) tile.push_back(value);
          ASSERT_GE(TIFFWriteTile(tiff, tile.data(), static_cast<std::uint32_t>(x0),
                                  static_cast<std::uint32_t>(y0), 0, 0),
                    0);
        }
    }
    ASSERT_NE(TIFFWriteDirectory(tiff), 0);
  }
  TIFFClose(tiff);
}

TEST_F(TiffFile, of_an_image_of_any_type_layout_and_compression_is_read_from_its_first_page) {
  std::mt19937 random(11);
  Block<float> values({1, 37, 29});
  for (float& v : values.span()) v = static_cast<float>(random() % 256);
  for (const std::uint16_t compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE})
    for (const std::uint32_t edge : {0U, 16U})
      for (int type = 0; type < 4; ++type) {
        SCOPED_TRACE(testing::Message() << compression << " " << edge << " " << type);
        if (type == 0) write_plane<std::uint8_t>(path_, values, SAMPLEFORMAT_UINT, compression, edge);
        if (type == 1) write_plane<std::uint16_t>(path_, values, SAMPLEFORMAT_UINT, compression, edge);
        if (type == 2) write_plane<float>(path_, values, SAMPLEFORMAT_IEEEFP, compression, edge);
        if (type == 3) write_plane<double>(path_, values, SAMPLEFORMAT_IEEEFP, compression, edge);
        const Block<float> found = read_plane_tiff(path_);
        ASSERT_EQ(found.shape(), values.shape());
        EXPECT_TRUE(std::ranges::equal(found.span(), values.span()));
      }
}

TEST_F(TiffFile, of_an_image_of_another_type_is_refused_by_name) {
  const Block<float> values({1, 4, 4}, 1.0F);
  write_plane<std::uint32_t>(path_, values, SAMPLEFORMAT_UINT, COMPRESSION_NONE, 0);
  try {
    (void)read_plane_tiff(path_);
    FAIL() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("uint32"), std::string::npos) << error.what();
    EXPECT_EQ(error.where(), path_.string());
  }
}

/// What plane_tiff_shape refuses a file with.
Error refusal_of_plane(const fs::path& path) {
  try {
    (void)plane_tiff_shape(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), path.string());
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return {ErrorCode::kInternal, ""};
}

TEST_F(TiffFile, of_one_image_has_the_shape_of_its_page) {
  const Block<float> plane({1, 5, 7}, 1.5F);
  write_plane_tiff(path_, plane.view());
  EXPECT_EQ(plane_tiff_shape(path_), (Extent3{1, 5, 7}));
  // As of a page that was taken out of a stack: there is nothing behind it.
  write_imagej(random_mask({1, 50, 60}, 2), "ImageJ=1.54f\nimages=7\n");
  EXPECT_EQ(plane_tiff_shape(path_), (Extent3{1, 50, 60}));
}

TEST_F(TiffFile, of_several_images_is_refused_where_one_is_expected) {
  write(random_mask({3, 5, 6}, 2), {});
  const Error pages = refusal_of_plane(path_);
  EXPECT_EQ(pages.code(), ErrorCode::kUnsupported);
  EXPECT_NE(pages.message().find("found 3"), std::string::npos) << pages.what();
  write_imagej(random_mask({4, 50, 60}, 2), "ImageJ=1.54f\nimages=4\nslices=4\n", 1);
  const Error planes = refusal_of_plane(path_);
  EXPECT_EQ(planes.code(), ErrorCode::kUnsupported);
  EXPECT_NE(planes.message().find("found 4"), std::string::npos) << planes.what();
}

TEST_F(TiffFile, of_another_type_is_refused_before_its_pixels_are_read) {
  write_plane<std::uint32_t>(path_, Block<float>({1, 4, 4}, 1.0F), SAMPLEFORMAT_UINT, COMPRESSION_NONE, 0);
  EXPECT_EQ(refusal_of_plane(path_).code(), ErrorCode::kUnsupported);
  EXPECT_NE(refusal_of_plane(path_).message().find("uint32"), std::string::npos);
}

}  // namespace
}  // namespace flatfield::pipeline
