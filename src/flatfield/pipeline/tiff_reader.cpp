#include "flatfield/pipeline/tiff_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/tiff_library.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {

struct TiffReader::Handle {
  TiffHandle tiff;
};

std::string TiffReader::Page::type_name() const {
  if (bits == 1) return "1 bit";
  return fmt::format("{}{}", floating ? "float" : "uint", bits);
}

TiffReader::TiffReader(const std::filesystem::path& path, std::string remedy)
    : path_(path), remedy_(std::move(remedy)), handle_(std::make_unique<Handle>()) {
  if (!std::filesystem::exists(path))
    throw Error(ErrorCode::kNotFound, "there is no such file", path.string(), remedy_);
  // libtiff does not tell a file that may not be read from one that is no TIFF.
  if (const std::unique_ptr<std::FILE, int (*)(std::FILE*)> readable(
          std::fopen(path.c_str(), "rb"), std::fclose);
      !readable)
    storage::throw_file_error(ErrorCode::kReadFailed, "open", path.string(), errno);
  handle_->tiff = open_tiff(path, "r");
  if (!handle_->tiff)
    fail("this is not a TIFF file" + (tiff_message().empty() ? "" : " (" + tiff_message() + ")"));
  page_ = read_page_header();
}

TiffReader::~TiffReader() = default;

void TiffReader::fail(const std::string& what) const {
  throw Error(ErrorCode::kBadInput, what, path_.string(), remedy_);
}

TiffReader::Page TiffReader::read_page_header() const {
  TIFF* tiff = handle_->tiff.get();
  Page page;
  std::uint16_t samples = 1;
  std::uint16_t format = SAMPLEFORMAT_UINT;
  if (TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &page.width) == 0 ||
      TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &page.height) == 0 || page.width == 0 || page.height == 0)
    fail("a page of the TIFF has no size");
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &page.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
  page.floating = format == SAMPLEFORMAT_IEEEFP;
  if (samples != 1 || (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID && !page.floating))
    throw Error(ErrorCode::kUnsupported,
                fmt::format("expected unsigned or floating samples, one per pixel, found {} per pixel "
                            "of sample format {}",
                            samples, format),
                path_.string(), "convert the image");
  return page;
}

std::int64_t TiffReader::page_count() {
  forget_tiff_message();
  const std::int64_t pages = TIFFNumberOfDirectories(handle_->tiff.get());
  // libtiff counts up to the first page that it cannot find: in a file that is cut off, not the last.
  if (!tiff_message().empty()) fail("cannot decode the TIFF (" + tiff_message() + ")");
  return pages;
}

void TiffReader::next_page() {
  if (TIFFReadDirectory(handle_->tiff.get()) == 0) fail("the TIFF ends before its last page");
  page_ = read_page_header();
}

std::int64_t TiffReader::imagej_planes() const {
  const char* text = nullptr;
  if (TIFFGetField(handle_->tiff.get(), TIFFTAG_IMAGEDESCRIPTION, &text) == 0 || text == nullptr)
    return 1;
  const std::string description = text;
  const std::size_t key = description.find("images=");
  if (description.rfind("ImageJ=", 0) != 0 || key == std::string::npos) return 1;
  return std::max<std::int64_t>(1, std::strtoll(description.c_str() + key + 7, nullptr, 10));
}

std::optional<std::uint64_t> TiffReader::raw_offset() const {
  TIFF* tiff = handle_->tiff.get();
  std::uint16_t compression = COMPRESSION_NONE;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  const std::uint64_t* offsets = nullptr;
  if (compression != COMPRESSION_NONE || TIFFIsTiled(tiff) != 0 ||
      TIFFGetField(tiff, TIFFTAG_STRIPOFFSETS, &offsets) == 0)
    return std::nullopt;
  return offsets[0];
}

void TiffReader::check_claim(double bytes) const {
  constexpr double kMostPerByte = 1e5;  // no compression puts more pixels into a byte of the file
  if (bytes > kMostPerByte * static_cast<double>(std::filesystem::file_size(path_)))
    fail("the TIFF claims more pixels than it can hold");
}

void TiffReader::read_rows(const RowFunction& row) {
  if (TIFFIsTiled(handle_->tiff.get()) != 0) return read_tiles(row);
  const auto row_bytes = static_cast<std::size_t>(TIFFScanlineSize64(handle_->tiff.get()));
  check_claim(static_cast<double>(row_bytes));
  std::vector<std::uint8_t> samples(row_bytes);
  for (std::uint32_t y = 0; y < page_.height; ++y) {
    if (TIFFReadScanline(handle_->tiff.get(), samples.data(), y, 0) < 0)
      fail("cannot decode the TIFF" + (tiff_message().empty() ? "" : " (" + tiff_message() + ")"));
    row(y, 0, page_.width, samples.data());
  }
}

void TiffReader::read_tiles(const RowFunction& row) {
  TIFF* tiff = handle_->tiff.get();
  const auto undecodable = [&] {
    fail("cannot decode the TIFF" + (tiff_message().empty() ? "" : " (" + tiff_message() + ")"));
  };
  std::uint32_t tile_width = 0;
  std::uint32_t tile_height = 0;
  TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
  TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_height);
  if (tile_width == 0 || tile_height == 0) undecodable();
  check_claim(static_cast<double>(TIFFTileSize64(tiff)));
  std::vector<std::uint8_t> tile(static_cast<std::size_t>(TIFFTileSize64(tiff)));
  const auto row_bytes = static_cast<std::size_t>(TIFFTileRowSize64(tiff));
  for (std::uint32_t y0 = 0; y0 < page_.height; y0 += tile_height)
    for (std::uint32_t x0 = 0; x0 < page_.width; x0 += tile_width) {
      if (TIFFReadTile(tiff, tile.data(), x0, y0, 0, 0) < 0) undecodable();
      for (std::uint32_t y = y0; y < std::min(y0 + tile_height, page_.height); ++y)
        row(y, x0, std::min(tile_width, page_.width - x0), tile.data() + (y - y0) * row_bytes);
    }
}

}  // namespace flatfield::pipeline
