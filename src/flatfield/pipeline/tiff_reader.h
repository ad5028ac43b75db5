#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace flatfield::pipeline {

/// Pages of a TIFF with one sample per pixel, stripped or tiled, any compression of libtiff, in the byte
/// order of this machine. Errors name the file and end with the remedy that the reader was opened with.
class TiffReader {
 public:
  struct Page {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::uint16_t bits = 1;
    bool floating = false;

    friend bool operator==(const Page&, const Page&) = default;
    /// "uint16", "float32", "1 bit", ...
    [[nodiscard]] std::string type_name() const;
  };

  /// Opens the first page. Throws Error(kNotFound, kReadFailed, kBadInput, kUnsupported).
  TiffReader(const std::filesystem::path& path, std::string remedy);
  ~TiffReader();
  TiffReader(const TiffReader&) = delete;
  TiffReader& operator=(const TiffReader&) = delete;

  [[nodiscard]] const Page& page() const { return page_; }
  /// Pages of the file. Throws Error(kBadInput) for a file that is cut off.
  [[nodiscard]] std::int64_t page_count();
  /// Goes to the next page. Throws Error(kBadInput) if there is none.
  void next_page();

  /// Planes that ImageJ promises in its description ("images=N"); 1 without one.
  [[nodiscard]] std::int64_t imagej_planes() const;
  /// Where the pixels of an uncompressed, stripped page begin; none for another page.
  [[nodiscard]] std::optional<std::uint64_t> raw_offset() const;

  /// Throws Error(kBadInput) unless the file can hold this many pixel bytes: a damaged header must not make
  /// us allocate without bound.
  void check_claim(double bytes) const;

  /// Calls `row(y, x, count, samples)` with every run of `count` pixels of the page; a run begins at
  /// the first bit of `samples`. Throws Error(kBadInput).
  using RowFunction = std::function<void(std::int64_t y, std::int64_t x, std::int64_t count,
                                         const std::uint8_t* samples)>;
  void read_rows(const RowFunction& row);

  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Handle;
  [[nodiscard]] Page read_page_header() const;
  void read_tiles(const RowFunction& row);

  std::filesystem::path path_;
  std::string remedy_;
  std::unique_ptr<Handle> handle_;
  Page page_;
};

}  // namespace flatfield::pipeline
