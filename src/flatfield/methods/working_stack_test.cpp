#include "flatfield/methods/working_stack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

Block<float> random_frames(const Extent3& shape, unsigned seed, int levels = 1 << 20) {
  std::mt19937 random(seed);
  Block<float> out(shape);
  for (float& v : out.span()) v = static_cast<float>(static_cast<int>(random()) % levels);
  return out;
}

BasicOptions unresized() {
  BasicOptions options;
  options.working_size.reset();
  return options;
}

std::string refusal(const FrameStack& images, const std::optional<FrameStack>& weights) {
  try {
    (void)make_working_stack(images, weights, unresized(), FrameOrder::kAsGiven, serial_for);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

TEST(WorkingStack, sorts_each_pixel_over_the_frames_and_its_weights_along_stably) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const Extent3 shape{static_cast<std::int64_t>(1 + random() % 9), 5, 11};
    const Block<float> images = random_frames(shape, seed, 4);  // many equal values, some negative
    const Block<float> weights = random_frames(shape, seed + 100);
    const WorkingStack plain =
        make_working_stack(FrameStack(images.view()), FrameStack(weights.view()), unresized(),
                           FrameOrder::kAsGiven, serial_for);
    const WorkingStack sorted =
        make_working_stack(FrameStack(images.view()), FrameStack(weights.view()), unresized(),
                           FrameOrder::kSortedPerPixel, serial_for);
    for (std::int64_t i = 0; i < plain.pixels; ++i) {
      std::vector<std::int64_t> order(static_cast<std::size_t>(shape.z));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return plain.images.at(0, a, i) < plain.images.at(0, b, i);
      });
      for (std::int64_t n = 0; n < shape.z; ++n) {
        const std::int64_t from = order[static_cast<std::size_t>(n)];
        ASSERT_EQ(sorted.images.at(0, n, i), plain.images.at(0, from, i));
        ASSERT_EQ(sorted.weights->at(0, n, i), plain.weights->at(0, from, i));
      }
    }
  }
}

TEST(WorkingStack, scales_weights_to_0_and_1) {
  const Block<float> images = random_frames({2, 3, 12}, 1);
  Block<float> weights({2, 3, 12}, 5.F);
  weights.data()[0] = 3.F;
  weights.data()[1] = 7.F;
  const WorkingStack stack =
      make_working_stack(FrameStack(images.view()), FrameStack(weights.view()), unresized(),
                         FrameOrder::kAsGiven, serial_for);
  EXPECT_EQ(stack.weights->data()[0], 0.F);
  EXPECT_EQ(stack.weights->data()[1], 1.F);
  EXPECT_EQ(stack.weights->data()[2], 0.5F);
}

TEST(WorkingStack, takes_constant_weights_for_ones_and_says_so) {
  const Block<float> images = random_frames({2, 3, 12}, 1);
  const Block<float> weights({2, 3, 12}, 5.F);
  const WorkingStack stack =
      make_working_stack(FrameStack(images.view()), FrameStack(weights.view()), unresized(),
                         FrameOrder::kAsGiven, serial_for);
  EXPECT_FALSE(stack.weights.has_value());
  EXPECT_EQ(stack.warnings.size(), 1U);
}

TEST(WorkingStack, resizes_every_plane_of_a_frame) {
  const Block<float> images = random_frames({6, 8, 16}, 2);
  BasicOptions options;
  options.working_size = WorkingSize{4, 8};
  const FrameStack volumes(images.data(), 2, {3, 8, 16});
  const WorkingStack stack =
      make_working_stack(volumes, std::nullopt, options, FrameOrder::kAsGiven, serial_for);
  EXPECT_EQ(stack.shape, (Extent3{3, 4, 8}));
  EXPECT_EQ(stack.images.shape(), (Extent3{1, 2, 3 * 4 * 8}));
  const Block<float> plane =
      numerics::resize_linear(images.plane(4), 4, 8, options.resize_mode, serial_for);
  EXPECT_TRUE(
      std::equal(plane.span().begin(), plane.span().end(), stack.images.data() + (3 + 1) * 4 * 8));
}

TEST(WorkingStack, is_measured_as_its_definitions_say) {
  const Block<float> images = random_frames({5, 7, 13}, 3, 1000);
  const WorkingStack stack = make_working_stack(FrameStack(images.view()), std::nullopt,
                                                unresized(), FrameOrder::kAsGiven, serial_for);
  const StackStatistics found = measure_stack(stack, serial_for);
  double squares = 0.0;
  for (const float v : images.span()) squares += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(found.norm, std::sqrt(squares), 1e-9 * found.norm);
  EXPECT_EQ(found.minimum, *std::min_element(images.span().begin(), images.span().end()));
  EXPECT_LE(found.singular_value, found.norm);
  EXPECT_GT(found.singular_value, 0.5 * found.norm);
  for (std::int64_t i = 0; i < stack.pixels; ++i) {
    std::vector<float> column;
    for (std::int64_t n = 0; n < 5; ++n) column.push_back(stack.images.at(0, n, i));
    const double sum = std::accumulate(column.begin(), column.end(), 0.0);
    std::sort(column.begin(), column.end());
    ASSERT_EQ(found.sum[static_cast<std::size_t>(i)], sum);
    ASSERT_EQ(found.median[static_cast<std::size_t>(i)], column[2]);
  }
}

TEST(WorkingStack, refuses_what_is_not_finite_naming_the_frame) {
  Block<float> images = random_frames({3, 4, 12}, 4);
  Block<float> weights = random_frames({3, 4, 12}, 5);
  weights.at(1, 2, 3) = std::numeric_limits<float>::infinity();
  EXPECT_NE(
      refusal(FrameStack(images.view()), FrameStack(weights.view())).find("frame 1 of the weights"),
      std::string::npos);
  images.at(2, 0, 0) = std::nanf("");
  EXPECT_NE(refusal(FrameStack(images.view()), std::nullopt).find("frame 2 of the images"),
            std::string::npos);
}

TEST(WorkingStack, refuses_weights_of_another_shape_and_no_frames) {
  const Block<float> images = random_frames({3, 4, 12}, 6);
  const Block<float> fewer = random_frames({2, 4, 12}, 6);
  const Block<float> narrower = random_frames({3, 4, 11}, 6);
  EXPECT_NE(refusal(FrameStack(images.view()), FrameStack(fewer.view())).find("found 2 of"),
            std::string::npos);
  EXPECT_NE(refusal(FrameStack(images.view()), FrameStack(narrower.view())).find("(1, 4, 11)"),
            std::string::npos);
  EXPECT_NE(refusal(FrameStack(images.data(), 0, {1, 4, 12}), std::nullopt).find("no frames"),
            std::string::npos);
}

TEST(WorkingStack, warns_of_narrow_frames) {
  const Block<float> images = random_frames({3, 40, 9}, 7);
  const WorkingStack stack = make_working_stack(FrameStack(images.view()), std::nullopt,
                                                unresized(), FrameOrder::kAsGiven, serial_for);
  EXPECT_EQ(stack.warnings.size(), 1U);
}

}  // namespace
}  // namespace flatfield::methods
