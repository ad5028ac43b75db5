#include "flatfield/report/canvas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "flatfield/core/error.h"
#include "flatfield/core/json.h"

namespace flatfield::report {
namespace {

[[noreturn]] void refuse(cairo_status_t status) {
  throw Error(ErrorCode::kInternal, std::string("a diagram cannot be drawn: ") + cairo_status_to_string(status));
}

/// Where the characters of a text of UTF-8 begin, and where the last one ends.
std::vector<std::size_t> character_places(std::string_view text) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) places.push_back(i);
  places.push_back(text.size());
  return places;
}

/// True for a code that Unicode sets apart as none of a character: U+FFFE and its like.
bool is_noncharacter(std::string_view bytes) {
  if (bytes.size() < 3) return false;
  std::uint32_t code = static_cast<unsigned char>(bytes[0]) & (bytes.size() == 3 ? 0x0FU : 0x07U);
  for (const char byte : bytes.substr(1)) code = code << 6U | (static_cast<unsigned char>(byte) & 0x3FU);
  return (code >= 0xFDD0U && code <= 0xFDEFU) || (code & 0xFFFEU) == 0xFFFEU;
}

/// A text with U+FFFD for what cairo refuses, after which nothing can be drawn any more: bytes that are not UTF-8, as the
/// names of files may have, and codes of no character.
std::string drawable(const std::string& text) {
  const std::string valid = Json::parse(Json(text).dump(), "").as_string();  // as all documents show such names
  const std::vector<std::size_t> places = character_places(valid);
  std::string out;
  for (std::size_t i = 0; i + 1 < places.size(); ++i) {
    const std::string_view character = std::string_view(valid).substr(places[i], places[i + 1] - places[i]);
    out += is_noncharacter(character) ? std::string_view("\xEF\xBF\xBD") : character;
  }
  return out;
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
  cairo_text_extents(context(), drawable(text).c_str(), &extents);
  return extents.x_advance;
}

void Canvas::text(const std::string& text, double x, double y, double size, double anchor) const {
  cairo_move_to(context(), x - anchor * text_width(text, size), y);
  cairo_show_text(context(), drawable(text).c_str());
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
  const std::string whole = drawable(text);
  const std::vector<std::size_t> places = character_places(whole);
  const std::size_t characters = places.size() - 1;
  for (std::size_t kept = characters / 2; kept > 1; --kept) {
    std::string shorter = whole.substr(0, places[kept]) + "..." + whole.substr(places[characters - kept]);
    if (canvas.text_width(shorter, size) <= width) return shorter;
  }
  return "...";
}

std::string tick_text(double tick, double step) {
  const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9);
  return fmt::format("{:.{}f}", tick == 0.0 ? 0.0 : tick, digits);
}

}  // namespace flatfield::report
