#pragma once

#include <tiffio.h>

#include <filesystem>
#include <memory>
#include <string>

namespace flatfield::pipeline {

struct CloseTiff {
  void operator()(TIFF* tiff) const noexcept { TIFFClose(tiff); }
};
using TiffHandle = std::unique_ptr<TIFF, CloseTiff>;

/// TIFFOpen, with what libtiff says of errors kept for `tiff_message` instead of printed.
[[nodiscard]] TiffHandle open_tiff(const std::filesystem::path& path, const char* mode);

/// The last error of libtiff in this thread since `open_tiff` or `forget_tiff_message`; "" if there was none.
[[nodiscard]] const std::string& tiff_message();
void forget_tiff_message();

}  // namespace flatfield::pipeline
