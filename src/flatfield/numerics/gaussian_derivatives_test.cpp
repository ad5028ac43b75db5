#include "flatfield/numerics/gaussian_derivatives.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/gaussian_filter.h"

namespace flatfield::numerics {
namespace {

Block<float> random_block(const Extent3& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(0.F, 1000.F);
  Block<float> block(shape);
  for (float& v : block.span()) v = value(random);
  return block;
}

std::int64_t walk_reflected(std::int64_t index, std::int64_t length) {
  while (index < 0 || index >= length) index = index < 0 ? -1 - index : 2 * length - 1 - index;
  return index;
}

/// A derivative of the given orders as one sum in double per axis, float32 in between.
Block<float> naive_derivative(const Block<float>& block, double sigma,
                              const std::array<int, 3>& orders) {
  Block<float> out = block.clone();
  for (int axis = 0; axis < 3; ++axis) {
    const Block<float> before = out.clone();
    const std::vector<double> kernel =
        gaussian_kernel(sigma, 4.0, orders[static_cast<std::size_t>(axis)]);
    const auto radius = static_cast<std::int64_t>(kernel.size() / 2);
    for (std::int64_t i = 0; i < out.size(); ++i) {
      const Extent3 place = unravel(i, out.shape());
      double sum = 0;
      for (std::int64_t k = -radius; k <= radius; ++k) {
        Extent3 p = place;
        p[axis] = walk_reflected(place[axis] + k, out.shape()[axis]);
        sum += kernel[static_cast<std::size_t>(k + radius)] *
               static_cast<double>(before.at(p.z, p.y, p.x));
      }
      out.at(place.z, place.y, place.x) = static_cast<float>(sum);
    }
  }
  return out;
}

TEST(GaussianKernelOfADerivative, is_the_slope_and_the_curvature_of_the_density) {
  const double sigma = 1.7;
  const std::vector<double> density = gaussian_kernel(sigma);
  const std::vector<double> first = gaussian_kernel(sigma, 4.0, 1);
  const std::vector<double> second = gaussian_kernel(sigma, 4.0, 2);
  const auto radius = static_cast<std::int64_t>(density.size() / 2);
  for (std::int64_t x = -radius; x <= radius; ++x) {
    const auto i = static_cast<std::size_t>(x + radius);
    const auto place = static_cast<double>(x);
    EXPECT_NEAR(first[i], place / (sigma * sigma) * density[i], 1e-16);
    EXPECT_NEAR(second[i], (place * place / (sigma * sigma) - 1) / (sigma * sigma) * density[i],
                1e-16);
  }
  EXPECT_THROW((void)gaussian_kernel(1.0, 4.0, 3), Error);
  EXPECT_THROW((void)gaussian_kernel(1.0, 4.0, -1), Error);
}

TEST(GaussianDerivatives, equal_the_naive_sums) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto size = [&](unsigned most) { return static_cast<std::int64_t>(1 + random() % most); };
    const Block<float> block = random_block({size(9), size(12), size(230)}, seed);
    const double sigma = 0.4 + 0.1 * static_cast<double>(random() % 20);
    const Block<float> magnitude = gaussian_gradient_magnitude(block.view(), sigma, serial_for);
    const Block<float> laplace = gaussian_laplace(block.view(), sigma, serial_for);
    std::array<Block<float>, 3> slopes;
    std::array<Block<float>, 3> curvatures;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      std::array<int, 3> orders{0, 0, 0};
      orders[axis] = 1;
      slopes[axis] = naive_derivative(block, sigma, orders);
      orders[axis] = 2;
      curvatures[axis] = naive_derivative(block, sigma, orders);
    }
    for (std::int64_t i = 0; i < block.size(); ++i) {
      const double z = slopes[0].data()[i], y = slopes[1].data()[i], x = slopes[2].data()[i];
      ASSERT_NEAR(magnitude.data()[i], std::sqrt(z * z + y * y + x * x), 5e-4);
      ASSERT_NEAR(laplace.data()[i],
                  curvatures[0].data()[i] + curvatures[1].data()[i] + curvatures[2].data()[i],
                  2e-3);
    }
  }
}

TEST(GaussianDerivatives, of_a_ramp_are_its_slope_and_no_curvature) {
  Block<float> ramp({20, 20, 20});
  for (std::int64_t i = 0; i < ramp.size(); ++i) {
    const Extent3 p = unravel(i, ramp.shape());
    ramp.data()[i] = static_cast<float>(2 * p.z + 3 * p.y + 6 * p.x);
  }
  EXPECT_NEAR(gaussian_gradient_magnitude(ramp.view(), 1.0, serial_for).at(10, 10, 10), 7.0, 5e-3);
  // The kernel, cut off at four sigma as scipy's, does not quite sum to 0: 2e-4 of the value.
  EXPECT_NEAR(gaussian_laplace(ramp.view(), 1.0, serial_for).at(10, 10, 10), 0.0, 3e-4 * 110);
}

TEST(GaussianDerivatives, along_x_have_the_sign_of_the_slope) {
  Block<float> ramp({1, 1, 30});
  for (std::int64_t x = 0; x < 30; ++x) ramp.data()[x] = static_cast<float>(-4 * x);
  gaussian_derivative(ramp.view(), {0, 0, 1}, {0, 0, 1}, serial_for);
  EXPECT_NEAR(ramp.data()[15], -4.0F, 5e-3);
}

}  // namespace
}  // namespace flatfield::numerics
