#include "flatfield/methods/basic_transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

/// A fit of three frames of 1 x 2 pixels.
BasicFit small_fit() {
  BasicFit fit;
  fit.flatfield = Block<float>({1, 1, 2});
  fit.flatfield.data()[0] = 0.5F;
  fit.flatfield.data()[1] = 2.F;
  fit.darkfield = Block<float>({1, 1, 2}, 10.F);
  fit.baseline = {100.F, 200.F, 300.F};
  return fit;
}

std::vector<float> transformed(const std::vector<float>& images, const BasicFit& fit,
                               Timelapse timelapse, const std::vector<std::int64_t>& frames = {},
                               Clipping clipping = Clipping::kNone) {
  const auto count = static_cast<std::int64_t>(images.size() / 2);
  std::vector<float> out(images.size());
  transform_basic({images.data(), count, {1, 1, 2}}, fit, timelapse, frames, clipping, out,
                  serial_for);
  return out;
}

TEST(BasicTransform, divides_and_subtracts_as_the_time_lapse_says) {
  const BasicFit fit = small_fit();
  const std::vector<float> images{110.F, 410.F};
  EXPECT_EQ(transformed(images, fit, Timelapse::kNone), (std::vector<float>{200.F, 200.F}));
  EXPECT_EQ(transformed(images, fit, Timelapse::kMultiplicative, {1}),
            (std::vector<float>{0.F, 0.F}));
  EXPECT_EQ(transformed(images, fit, Timelapse::kAdditive, {2}),
            (std::vector<float>{-50.F, -200.F}));
}

TEST(BasicTransform, takes_the_frames_in_order_without_indices) {
  const std::vector<float> images{10.F, 10.F, 10.F, 10.F, 10.F, 10.F};
  EXPECT_EQ(transformed(images, small_fit(), Timelapse::kMultiplicative),
            (std::vector<float>{-100.F, -100.F, -200.F, -200.F, -300.F, -300.F}));
}

TEST(BasicTransform, clips_to_the_range_of_uint16) {
  BasicFit fit = small_fit();
  EXPECT_EQ(transformed({0.F, 1e6F}, fit, Timelapse::kNone, {}, Clipping::kToUint16),
            (std::vector<float>{0.F, 65535.F}));
  fit.flatfield.data()[0] = 0.F;
  EXPECT_EQ(transformed({10.F, 10.F}, fit, Timelapse::kNone, {}, Clipping::kToUint16),
            (std::vector<float>{0.F, 0.F}));
  EXPECT_TRUE(std::isinf(transformed({11.F, 10.F}, fit, Timelapse::kNone)[0]));
}

TEST(BasicTransform, may_write_over_its_input) {
  const BasicFit fit = small_fit();
  std::vector<float> values{110.F, 410.F};
  transform_basic({values.data(), 1, {1, 1, 2}}, fit, Timelapse::kNone, {}, Clipping::kNone, values,
                  serial_for);
  EXPECT_EQ(values, (std::vector<float>{200.F, 200.F}));
}

TEST(BasicTransform, refuses_frames_that_are_not_of_the_fit) {
  BasicFit fit = small_fit();
  const std::vector<float> images{1.F, 2.F};
  EXPECT_THROW((void)transformed(images, fit, Timelapse::kAdditive), Error);
  EXPECT_THROW((void)transformed(images, fit, Timelapse::kAdditive, {3}), Error);
  EXPECT_THROW((void)transformed(images, fit, Timelapse::kAdditive, {-1}), Error);
  EXPECT_THROW((void)transformed(images, fit, Timelapse::kAdditive, {0, 1}), Error);
  fit.baseline.clear();
  EXPECT_THROW((void)transformed(images, fit, Timelapse::kMultiplicative), Error);
  std::vector<float> out(3);
  EXPECT_THROW(transform_basic({images.data(), 1, {1, 1, 2}}, fit, Timelapse::kNone, {},
                               Clipping::kNone, out, serial_for),
               Error);
  fit.flatfield = Block<float>({1, 2, 1}, 1.F);
  EXPECT_THROW((void)transformed(images, fit, Timelapse::kNone), Error);
}

}  // namespace
}  // namespace flatfield::methods
