#include "flatfield/zarr/axis_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

namespace flatfield::zarr {
namespace {

using Shape = std::vector<std::int64_t>;
using Order = std::vector<int>;

/// The definition: the element with index (i0, i1, ...) of the result is the one whose index along
/// axis order[k] is ik.
std::vector<std::byte> naive(const std::vector<std::byte>& from, const Shape& shape,
                             const Order& order, std::size_t itemsize) {
  std::vector<std::byte> to(from.size());
  const Shape to_shape = permuted_shape(shape, order);
  for (std::size_t linear = 0; linear < from.size() / itemsize; ++linear) {
    std::int64_t rest = static_cast<std::int64_t>(linear);
    Shape index(shape.size());
    for (std::size_t k = shape.size(); k-- > 0;) {
      index[static_cast<std::size_t>(order[k])] = rest % to_shape[k];
      rest /= to_shape[k];
    }
    std::int64_t source = 0;
    for (std::size_t k = 0; k < shape.size(); ++k) source = source * shape[k] + index[k];
    std::memcpy(to.data() + linear * itemsize,
                from.data() + static_cast<std::size_t>(source) * itemsize, itemsize);
  }
  return to;
}

TEST(PermuteAxes, agrees_with_the_definition_for_random_shapes_and_orders) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 400; ++round) {
    Shape shape(random() % 6);
    const int longest = shape.size() > 3 ? 6 : 70;
    std::size_t count = 1;
    for (auto& n : shape) {
      n = 1 + static_cast<std::int64_t>(random() % static_cast<unsigned>(longest));
      if (count > 20000) n = 1;
      count *= static_cast<std::size_t>(n);
    }
    Order order(shape.size());
    std::iota(order.begin(), order.end(), 0);
    if (round % 2 == 0)
      std::reverse(order.begin(), order.end());
    else
      std::shuffle(order.begin(), order.end(), random);
    const std::size_t itemsize = std::size_t{1} << (random() % 5);
    SCOPED_TRACE(testing::PrintToString(shape) + " to " + testing::PrintToString(order));
    std::vector<std::byte> from(count * itemsize);
    for (auto& byte : from) byte = static_cast<std::byte>(random());
    std::vector<std::byte> to(from.size());
    permute_axes(from, to, shape, order, itemsize);
    ASSERT_EQ(to, naive(from, shape, order, itemsize));
    std::vector<std::byte> back(from.size());
    permute_axes(to, back, permuted_shape(shape, order), inverse_order(order), itemsize);
    ASSERT_EQ(back, from);
    if (keeps_places(shape, order)) {
      ASSERT_EQ(to, from);
    }
  }
}

TEST(PermuteAxes, axes_of_one_element_may_go_anywhere) {
  EXPECT_TRUE(keeps_places({1, 60, 1}, {2, 1, 0}));
  EXPECT_TRUE(keeps_places({1, 4, 5}, {1, 2, 0}));
  EXPECT_TRUE(keeps_places({}, {}));
  EXPECT_FALSE(keeps_places({2, 1, 5}, {2, 1, 0}));
}

}  // namespace
}  // namespace flatfield::zarr
