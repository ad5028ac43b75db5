#include "flatfield/pipeline/tiff_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/tiff_reader.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kMaskRemedy = "segment the tile again, or remove the file";
constexpr const char* kPlaneRemedy = "check the file, or make it again";

/// Puts `count` pixels of a page into a row of the mask, from x on. One bit of a page comes highest first.
void set_mask_row(const std::uint8_t* samples, std::uint16_t bits, std::int64_t z, std::int64_t y, std::int64_t x,
                  std::int64_t count, BitVolume& mask) {
  if (bits == 1) {
    for (std::int64_t i = 0; i < count; ++i) mask.set(z, y, x + i, ((samples[i / 8] >> (7 - i % 8)) & 1) != 0);
  } else if (bits == 8) {
    mask.set_row(z, y, x, samples, count);
  } else {
    std::vector<std::uint16_t> values(static_cast<std::size_t>(count));
    std::memcpy(values.data(), samples, values.size() * sizeof(std::uint16_t));
    mask.set_row(z, y, x, values.data(), count);
  }
}

void check_mask_type(const TiffReader::Page& page, const std::filesystem::path& path) {
  if (page.floating || (page.bits != 1 && page.bits != 8 && page.bits != 16))
    throw Error(ErrorCode::kUnsupported,
                "a mask must be 1 bit, uint8 or uint16, found " + page.type_name(), path.string(),
                "convert the mask");
}

/// The planes of an ImageJ file of one page: they follow each other uncompressed.
BitVolume read_imagej_stack(const TiffReader& reader, std::int64_t planes, const std::filesystem::path& path,
                            const std::function<void(const Extent3&)>& before) {
  const TiffReader::Page& page = reader.page();
  const std::optional<std::uint64_t> offset = reader.raw_offset();
  if (!offset || page.bits == 1) reader.fail("cannot decode the planes behind the only page of the TIFF");
  const auto row_bytes = static_cast<std::size_t>(page.width) * page.bits / 8;
  // In double: the product of what a damaged file claims may not fit 64 bits.
  const double needed = static_cast<double>(*offset) + static_cast<double>(planes) * page.height *
                                                           static_cast<double>(row_bytes);
  if (static_cast<double>(std::filesystem::file_size(path)) < needed)
    reader.fail(fmt::format("the TIFF ends before its {} planes", planes));
  const Extent3 shape{planes, page.height, page.width};
  if (before) before(shape);
  BitVolume mask(shape);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  std::vector<std::uint8_t> row(row_bytes);
  bool readable = file && fseeko(file.get(), static_cast<off_t>(*offset), SEEK_SET) == 0;
  for (std::int64_t r = 0; readable && r < planes * page.height; ++r) {
    readable = std::fread(row.data(), 1, row_bytes, file.get()) == row_bytes;
    set_mask_row(row.data(), page.bits, r / page.height, r % page.height, 0, page.width, mask);
  }
  if (!readable) reader.fail("cannot read the planes of the TIFF");
  return mask;
}

template <class T>
void widen_row(const std::uint8_t* samples, std::int64_t count, float* out) {
  for (std::int64_t x = 0; x < count; ++x) {
    T value;
    std::memcpy(&value, samples + x * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
    out[x] = static_cast<float>(value);
  }
}

using WidenFunction = void (*)(const std::uint8_t*, std::int64_t, float*);

/// How rows of a page become float32. Throws Error(kUnsupported) for a type that is not read.
WidenFunction widen_function(const TiffReader::Page& page, const std::filesystem::path& path) {
  if (page.floating && page.bits == 32) return widen_row<float>;
  if (page.floating && page.bits == 64) return widen_row<double>;
  if (!page.floating && page.bits == 8) return widen_row<std::uint8_t>;
  if (!page.floating && page.bits == 16) return widen_row<std::uint16_t>;
  throw Error(ErrorCode::kUnsupported, "expected uint8, uint16, float32 or float64, found " + page.type_name(),
              path.string(), "convert the image");
}

double page_bytes(const TiffReader::Page& page) {
  return static_cast<double>(page.width) * page.height * page.bits / 8.0;
}

/// Pages of a file, or planes that ImageJ has put behind the only one. A page that was taken out of such a stack keeps its
/// description, but has nothing behind it.
std::int64_t image_count(TiffReader& reader, const std::filesystem::path& path) {
  const std::int64_t planes = reader.imagej_planes();
  const std::int64_t pages = reader.page_count();
  const std::optional<std::uint64_t> offset = reader.raw_offset();
  if (pages > 1 || planes == 1 || !offset) return pages;
  const double two_planes = static_cast<double>(*offset) + 2.0 * page_bytes(reader.page());
  return static_cast<double>(std::filesystem::file_size(path)) < two_planes ? 1 : planes;
}

}  // namespace

bool has_tiff_name(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& letter : extension)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return extension == ".tif" || extension == ".tiff";
}

BitVolume read_mask_tiff(const std::filesystem::path& path, const std::function<void(const Extent3&)>& before) {
  TiffReader reader(path, kMaskRemedy);
  const TiffReader::Page first = reader.page();
  check_mask_type(first, path);
  const std::int64_t planes = reader.imagej_planes();
  const std::int64_t pages = reader.page_count();
  if (pages == 1 && planes > 1) return read_imagej_stack(reader, planes, path, before);

  reader.check_claim(static_cast<double>(first.width) * first.height * static_cast<double>(pages));
  const Extent3 shape{pages, first.height, first.width};
  if (before) before(shape);
  BitVolume mask(shape);
  for (std::int64_t z = 0; z < pages; ++z) {
    if (z > 0) reader.next_page();
    if (reader.page() != first) reader.fail(fmt::format("page {} of the TIFF differs in size or type", z));
    reader.read_rows([&](std::int64_t y, std::int64_t x, std::int64_t count, const std::uint8_t* samples) {
      set_mask_row(samples, first.bits, z, y, x, count, mask);
    });
  }
  return mask;
}

Extent3 mask_tiff_shape(const std::filesystem::path& path) {
  TiffReader reader(path, kMaskRemedy);
  const std::int64_t planes = reader.imagej_planes();
  const std::int64_t pages = reader.page_count();
  return {pages == 1 ? std::max<std::int64_t>(planes, 1) : pages, reader.page().height, reader.page().width};
}

Block<float> read_plane_tiff(const std::filesystem::path& path) {
  TiffReader reader(path, kPlaneRemedy);
  const TiffReader::Page page = reader.page();
  const WidenFunction widen = widen_function(page, path);
  reader.check_claim(page_bytes(page));
  Block<float> plane({1, page.height, page.width});
  reader.read_rows([&](std::int64_t y, std::int64_t x, std::int64_t count, const std::uint8_t* samples) {
    widen(samples, count, plane.view().row(0, y) + x);
  });
  return plane;
}

Extent3 plane_tiff_shape(const std::filesystem::path& path) {
  TiffReader reader(path, kPlaneRemedy);
  const TiffReader::Page page = reader.page();
  static_cast<void>(widen_function(page, path));
  reader.check_claim(page_bytes(page));
  if (const std::int64_t count = image_count(reader, path); count > 1)
    throw Error(ErrorCode::kUnsupported, fmt::format("expected one image, found {} in the file", count), path.string(),
                "put each image into a file of its own");
  return {1, page.height, page.width};
}

}  // namespace flatfield::pipeline
