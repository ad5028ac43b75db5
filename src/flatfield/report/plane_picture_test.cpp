#include "flatfield/report/plane_picture.h"

#include <cairo.h>
#include <gtest/gtest.h>

#include <limits>

namespace flatfield::report {
namespace {

struct Picture {
  int width = 0;
  int height = 0;
  std::vector<std::uint32_t> pixels;
};

Picture decoded(const std::vector<std::byte>& png) {
  struct Reader {
    const std::vector<std::byte>* bytes;
    std::size_t at;
  } reader{&png, 0};
  const auto read = [](void* from, unsigned char* to, unsigned int length) -> cairo_status_t {
    auto* source = static_cast<Reader*>(from);
    std::memcpy(to, source->bytes->data() + source->at, length);
    source->at += length;
    return CAIRO_STATUS_SUCCESS;
  };
  cairo_surface_t* surface = cairo_image_surface_create_from_png_stream(read, &reader);
  Picture picture{cairo_image_surface_get_width(surface), cairo_image_surface_get_height(surface), {}};
  for (int y = 0; y < picture.height; ++y)
    for (int x = 0; x < picture.width; ++x)
      picture.pixels.push_back(
          reinterpret_cast<const std::uint32_t*>(cairo_image_surface_get_data(surface) +
                                                 y * cairo_image_surface_get_stride(surface))[x] & 0xffffffU);
  cairo_surface_destroy(surface);
  return picture;
}

int brightness(std::uint32_t pixel) {
  return static_cast<int>(2 * (pixel >> 16U) + 5 * ((pixel >> 8U) & 255U) + (pixel & 255U));
}

TEST(PlanePicture, larger_values_are_brighter_and_what_is_no_number_is_white) {
  Block<float> plane({1, 200, 300});
  for (std::int64_t y = 0; y < 200; ++y)
    for (std::int64_t x = 0; x < 300; ++x) plane.at(0, y, x) = static_cast<float>(x);
  for (std::int64_t y = 100; y < 110; ++y) plane.at(0, y, 150) = std::numeric_limits<float>::quiet_NaN();
  const Picture picture = decoded(draw_plane_png(std::as_const(plane).view(), "title", "counts"));
  ASSERT_GT(picture.width, 300);
  const auto at = [&](int x, int y) {
    return picture.pixels[static_cast<std::size_t>((64 + y) * picture.width + 28 + x)];
  };
  for (int x = 10; x < 290; x += 10) EXPECT_LT(brightness(at(x - 10, 20)), brightness(at(x, 20))) << x;
  EXPECT_EQ(at(150, 105), 0xffffffU);
  EXPECT_EQ(at(50, 5), at(50, 195));
}

TEST(PlanePicture, of_any_plane_has_a_size_that_can_be_looked_at) {
  for (const Extent3 shape : {Extent3{1, 1, 1}, Extent3{1, 3, 4000}, Extent3{1, 2500, 7}, Extent3{1, 1000, 1200}}) {
    const Block<float> plane(shape, 5.0F);
    const Picture picture = decoded(draw_plane_png(plane.view(), std::string(500, 'x'), "y"));
    EXPECT_GT(picture.width, 150);
    EXPECT_LT(picture.width, 1300);
    EXPECT_LT(picture.height, 1100);
  }
}

}  // namespace
}  // namespace flatfield::report
