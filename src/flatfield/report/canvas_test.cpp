#include "flatfield/report/canvas.h"

#include <gtest/gtest.h>

#include "flatfield/core/json.h"

namespace flatfield::report {
namespace {

constexpr double kSize = 18.0;

std::vector<std::byte> picture_of(const std::string& text) {
  const Canvas canvas(400, 40);
  canvas.pen(0.0, 1.0);
  canvas.text(text, 10.0, 30.0, kSize, 0.0);
  return canvas.png();
}

TEST(Canvas, shortens_a_text_by_whole_characters) {
  for (const std::string piece : {"aé漢😀", "tile_\xFF"}) {
    std::string name;
    for (int i = 0; i < 40; ++i) name += piece;
    for (int width = 40; width < 400; width += 7) {
      const Canvas canvas(400, 40);
      const std::string shorter = fitted(canvas, name, kSize, width);
      EXPECT_EQ(Json::parse(Json(shorter).dump(), "").as_string(), shorter) << "no character is cut";
      EXPECT_LE(canvas.text_width(shorter, kSize), width) << shorter;
      canvas.text(shorter, 0.0, 30.0, kSize, 0.0);
      EXPECT_NO_THROW((void)canvas.png()) << shorter;
    }
  }
}

TEST(Canvas, draws_what_is_no_text_as_replacement_characters) {
  EXPECT_EQ(picture_of("tile_\xE9_\xFF\xFE.zarr"), picture_of("tile_\xEF\xBF\xBD_\xEF\xBF\xBD\xEF\xBF\xBD.zarr"));
  // U+FFFE, U+FDD0 and U+1FFFF are well-formed, but no characters.
  EXPECT_EQ(picture_of("\xEF\xBF\xBE \xEF\xB7\x90 \xF0\x9F\xBF\xBF"),
            picture_of("\xEF\xBF\xBD \xEF\xBF\xBD \xEF\xBF\xBD"));
  EXPECT_NE(picture_of("tile_\xEF\xBF\xBD.zarr"), picture_of("tile_.zarr"));
}

}  // namespace
}  // namespace flatfield::report
