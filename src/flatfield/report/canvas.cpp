#include "flatfield/report/canvas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "flatfield/core/error.h"

namespace flatfield::report {
namespace {

[[noreturn]] void refuse(cairo_status_t status) {
  throw Error(ErrorCode::kInternal, std::string("a diagram cannot be drawn: ") + cairo_status_to_string(status));
}

}  // namespace

Canvas::Canvas(int width, int height)
    : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height)), context_(cairo_create(surface_.get())) {
  cairo_set_source_rgb(context(), 1.0, 1.0, 1.0);
  cairo_paint(context());
  cairo_select_font_face(context(), "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
}

void Canvas::pen(double grey, double width) const {
  cairo_set_source_rgb(context(), grey, grey, grey);
  cairo_set_line_width(context(), width);
}

void Canvas::line(double x0, double y0, double x1, double y1) const {
  cairo_move_to(context(), x0, y0);
  cairo_line_to(context(), x1, y1);
  cairo_stroke(context());
}

double Canvas::text_width(const std::string& text, double size) const {
  cairo_text_extents_t extents;
  cairo_set_font_size(context(), size);
  cairo_text_extents(context(), text.c_str(), &extents);
  return extents.x_advance;
}

void Canvas::text(const std::string& text, double x, double y, double size, double anchor) const {
  cairo_move_to(context(), x - anchor * text_width(text, size), y);
  cairo_show_text(context(), text.c_str());
}

std::vector<std::byte> Canvas::png() const {
  if (const cairo_status_t status = cairo_status(context()); status != CAIRO_STATUS_SUCCESS) refuse(status);
  return surface_png(surface_.get());
}

std::vector<std::byte> surface_png(cairo_surface_t* surface) {
  std::vector<std::byte> bytes;
  const auto append = [](void* out, const unsigned char* data,
                         unsigned int length) -> cairo_status_t {
    auto* to = static_cast<std::vector<std::byte>*>(out);
    const auto* from = reinterpret_cast<const std::byte*>(data);
    try {
      to->insert(to->end(), from, from + length);
    } catch (const std::bad_alloc&) {
      return CAIRO_STATUS_NO_MEMORY;
    }
    return CAIRO_STATUS_SUCCESS;
  };
  const cairo_status_t status = cairo_surface_write_to_png_stream(surface, append, &bytes);
  if (status != CAIRO_STATUS_SUCCESS) refuse(status);
  return bytes;
}

std::string fitted(const Canvas& canvas, const std::string& text, double size, double width) {
  if (canvas.text_width(text, size) <= width) return text;
  for (std::size_t kept = text.size() / 2; kept > 1; --kept) {
    std::string shorter = text.substr(0, kept) + "..." + text.substr(text.size() - kept);
    if (canvas.text_width(shorter, size) <= width) return shorter;
  }
  return "...";
}

std::string tick_text(double tick, double step) {
  const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9);
  return fmt::format("{:.{}f}", tick == 0.0 ? 0.0 : tick, digits);
}

}  // namespace flatfield::report
