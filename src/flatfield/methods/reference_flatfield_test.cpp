#include "flatfield/methods/reference_flatfield.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/numerics/spline_resize.h"

namespace flatfield::methods {
namespace {

const ParallelFor kSerial = serial_for;

std::string refusal(const Block<float>& image, std::int64_t height, std::int64_t width) {
  try {
    (void)reference_flatfield(image.view(), height, width, kSerial);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

TEST(ReferenceFlatfield, of_the_same_shape_is_the_image_divided_by_its_maximum) {
  std::mt19937 random(3);
  Block<float> image({1, 5, 7});
  for (float& v : image.span()) v = 100.0F + static_cast<float>(random() % 1000);
  const float largest = *std::max_element(image.span().begin(), image.span().end());
  const Block<float> flatfield = reference_flatfield(image.view(), 5, 7, kSerial);
  for (std::int64_t i = 0; i < image.size(); ++i)
    ASSERT_EQ(flatfield.data()[i], image.data()[i] / largest);
}

TEST(ReferenceFlatfield, of_another_shape_is_resized_before_it_is_divided) {
  std::mt19937 random(4);
  Block<float> image({1, 9, 6});
  for (float& v : image.span()) v = 0.5F + static_cast<float>(random() % 1000) / 1000.0F;
  const Block<float> resized = numerics::resize_plane(image.view(), 21, 40, kSerial);
  const float largest = *std::max_element(resized.span().begin(), resized.span().end());
  const Block<float> flatfield = reference_flatfield(image.view(), 21, 40, kSerial);
  ASSERT_EQ(flatfield.shape(), (Extent3{1, 21, 40}));
  for (std::int64_t i = 0; i < flatfield.size(); ++i)
    ASSERT_EQ(flatfield.data()[i], resized.data()[i] / largest);
}

TEST(ReferenceFlatfield, with_pixels_that_are_not_positive_says_how_many) {
  Block<float> image({1, 4, 5}, 1.0F);
  image.at(0, 1, 2) = 0.0F;
  image.at(0, 3, 4) = -2.0F;
  EXPECT_NE(refusal(image, 4, 5).find("2 of 20 pixels"), std::string::npos);
  EXPECT_NE(refusal(Block<float>({1, 4, 5}, 0.0F), 4, 5).find("20 of 20 pixels"), std::string::npos);
}

TEST(ReferenceFlatfield, with_pixels_that_are_not_finite_says_how_many) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Block<float> image({1, 4, 5}, 1.0F);
    image.at(0, 0, 0) = bad;
    EXPECT_NE(refusal(image, 8, 8).find("1 of 20 pixels of the flatfield are not finite"),
              std::string::npos);
  }
}

TEST(ReferenceFlatfield, whose_smallest_pixel_vanishes_beside_its_largest_is_refused) {
  Block<float> image({1, 1, 2}, 1e-38F);
  image.at(0, 0, 1) = 1e30F;
  EXPECT_NE(refusal(image, 1, 2).find("1 of 2 pixels"), std::string::npos);
}

}  // namespace
}  // namespace flatfield::methods
