#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/pipeline/tiff_library.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {
namespace {

void set_page_fields(TIFF* tiff, std::int64_t width, std::int64_t height, std::uint16_t bits,
                     std::uint16_t format, std::uint16_t compression) {
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(width));
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(height));
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, bits);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, format);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, compression);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, TIFFDefaultStripSize(tiff, 0));
}

/// Writes all planes of `volume` as pages of `file`, which is to become `path`; `format` describes T.
template <class T>
void write_file(const std::filesystem::path& file, const std::filesystem::path& path, BlockView<const T> volume,
                std::uint16_t format, std::uint16_t compression) {
  const auto fail = [&] {
    throw Error(ErrorCode::kWriteFailed,
                "cannot write the TIFF" + (tiff_message().empty() ? "" : " (" + tiff_message() + ")"), path.string());
  };
  // Classic TIFF ends at 4 GiB.
  const bool big = volume.size() * static_cast<std::int64_t>(sizeof(T)) > 0xF0000000;
  const TiffHandle tiff = open_tiff(file, big ? "w8" : "w");
  if (!tiff) fail();
  const std::string description =
      fmt::format("ImageJ=1.11a\nimages={0}\nslices={0}\nhyperstack=false\n", volume.shape.z);
  std::vector<T> row(static_cast<std::size_t>(volume.shape.x));
  for (std::int64_t z = 0; z < volume.shape.z; ++z) {
    set_page_fields(tiff.get(), volume.shape.x, volume.shape.y, sizeof(T) * 8, format, compression);
    if (z == 0) TIFFSetField(tiff.get(), TIFFTAG_IMAGEDESCRIPTION, description.c_str());
    for (std::int64_t y = 0; y < volume.shape.y; ++y) {
      std::copy_n(volume.row(z, y), volume.shape.x, row.data());
      if (TIFFWriteScanline(tiff.get(), row.data(), static_cast<std::uint32_t>(y), 0) < 0) fail();
    }
    if (TIFFWriteDirectory(tiff.get()) == 0) fail();
  }
  if (TIFFFlush(tiff.get()) == 0) fail();
}

/// A name beside `path`, as short for the longest of names, that no file has but those of this process.
std::filesystem::path temporary_beside(const std::filesystem::path& path) {
  static std::atomic<unsigned> next{0};
  return path.parent_path() / fmt::format(".flatfield-{}-{}.tmp", ::getpid(), next++);
}

/// The same under a temporary name first: where it fails, an earlier file stays, and no half one is ever seen.
template <class T>
void write_pages(const std::filesystem::path& path, BlockView<const T> volume, std::uint16_t format,
                 std::uint16_t compression) {
  const std::filesystem::path temporary = temporary_beside(path);
  std::error_code error;
  try {
    write_file<T>(temporary, path, volume, format, compression);
    std::filesystem::rename(temporary, path, error);
    if (error) storage::throw_file_error(ErrorCode::kWriteFailed, "write", path.string(), error.value());
  } catch (...) {
    std::filesystem::remove(temporary, error);
    throw;
  }
}

}  // namespace

void write_mask_tiff(const std::filesystem::path& path, BlockView<const std::uint8_t> mask) {
  write_pages<std::uint8_t>(path, mask, SAMPLEFORMAT_UINT, COMPRESSION_ADOBE_DEFLATE);
}

void write_plane_tiff(const std::filesystem::path& path, BlockView<const float> plane) {
  write_pages<float>(path, plane, SAMPLEFORMAT_IEEEFP, COMPRESSION_NONE);
}

void write_plane_tiff(const std::filesystem::path& path, BlockView<const std::uint16_t> plane) {
  write_pages<std::uint16_t>(path, plane, SAMPLEFORMAT_UINT, COMPRESSION_NONE);
}

}  // namespace flatfield::pipeline
