#pragma once

#include <cairo.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace flatfield::report {

/// A white picture to draw on.
class Canvas {
 public:
  Canvas(int width, int height);

  [[nodiscard]] cairo_t* context() const { return context_.get(); }
  /// Grey from 0 (black) to 1.
  void pen(double grey, double width) const;
  void line(double x0, double y0, double x1, double y1) const;
  [[nodiscard]] double text_width(const std::string& text, double size) const;
  /// Text whose base line begins `anchor` of its width left of x: 0 = left-aligned, 1 = right-aligned. Bytes that are not
  /// UTF-8 are drawn as U+FFFD.
  void text(const std::string& text, double x, double y, double size, double anchor) const;
  /// The picture as the bytes of a PNG file. Throws Error(kInternal) where the drawing library fails.
  [[nodiscard]] std::vector<std::byte> png() const;

 private:
  struct Release {
    void operator()(cairo_surface_t* surface) const noexcept { cairo_surface_destroy(surface); }
    void operator()(cairo_t* context) const noexcept { cairo_destroy(context); }
  };
  std::unique_ptr<cairo_surface_t, Release> surface_;
  std::unique_ptr<cairo_t, Release> context_;
};

/// A surface as the bytes of a PNG file. Throws Error(kInternal) where the drawing library fails.
[[nodiscard]] std::vector<std::byte> surface_png(cairo_surface_t* surface);

/// A text that fits into `width`: where it does not, whole characters of its middle are replaced by dots.
[[nodiscard]] std::string fitted(const Canvas& canvas, const std::string& text, double size, double width);

/// A tick as text, with as many decimals as ticks `step` apart need.
[[nodiscard]] std::string tick_text(double tick, double step);

}  // namespace flatfield::report
