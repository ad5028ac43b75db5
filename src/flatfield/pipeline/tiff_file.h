#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"

namespace flatfield::pipeline {

/// True for names that end in .tif or .tiff, in upper case or lower.
[[nodiscard]] bool has_tiff_name(const std::filesystem::path& path);

/// Reads a mask (z, y, x) from the pages of a TIFF: 1 bit, uint8 or uint16, one sample per pixel, stripped or
/// tiled, any compression of libtiff. Every value that is not 0 becomes 1. ImageJ files larger than 4 GiB,
/// which have one page and many planes behind it, are read too.
/// Calls `before(shape)` before it takes memory for the mask, whose bits are BitVolume::bytes_of(shape).
/// Throws Error(kNotFound, kReadFailed, kBadInput, kUnsupported) naming the file.
[[nodiscard]] BitVolume read_mask_tiff(const std::filesystem::path& path,
                                       const std::function<void(const Extent3&)>& before = {});
/// The shape of the mask that read_mask_tiff would read. Throws like it, but for what is wrong with its pixels.
[[nodiscard]] Extent3 mask_tiff_shape(const std::filesystem::path& path);

/// Reads the first page of a TIFF as a (1, y, x) plane: uint8, uint16, float32 or float64, one sample per
/// pixel, stripped or tiled, any compression of libtiff. Throws like `read_mask_tiff`.
[[nodiscard]] Block<float> read_plane_tiff(const std::filesystem::path& path);

/// The shape (1, y, x) of the only image of a TIFF, which read_plane_tiff would read; nothing but headers is read.
/// Throws like it, but for what is wrong with the pixels, and Error(kUnsupported) for a file of several pages, or of the
/// planes of an ImageJ stack.
[[nodiscard]] Extent3 plane_tiff_shape(const std::filesystem::path& path);

/// Writes a (z, y, x) mask as uint8 pages, zlib, with ImageJ's description. The file has its name only when it is
/// complete. Throws Error(kWriteFailed).
void write_mask_tiff(const std::filesystem::path& path, BlockView<const std::uint8_t> mask);

/// Writes a (1, y, x) plane as float32 in the same way, but uncompressed.
void write_plane_tiff(const std::filesystem::path& path, BlockView<const float> plane);
/// The same as uint16.
void write_plane_tiff(const std::filesystem::path& path, BlockView<const std::uint16_t> plane);

}  // namespace flatfield::pipeline
