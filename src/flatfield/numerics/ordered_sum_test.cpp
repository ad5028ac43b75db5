#include "flatfield/numerics/ordered_sum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>
#include <vector>

namespace flatfield::numerics {
namespace {

void backwards(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  for (std::int64_t i = count - 1; i >= 0; --i) body(i);
}

TEST(OrderedSum, covers_every_index_once_in_stretches) {
  for (const std::int64_t count : {0, 1, 4, 5, 12, 13}) {
    std::vector<int> visits(static_cast<std::size_t>(count));
    const auto lengths =
        ordered_parts(count, 4, serial_for, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
          return end - begin;
        });
    EXPECT_EQ(visits, std::vector<int>(static_cast<std::size_t>(count), 1));
    for (std::size_t i = 0; i + 1 < lengths.size(); ++i) EXPECT_EQ(lengths[i], 4);
  }
}

TEST(OrderedSum, does_not_depend_on_the_order_of_execution) {
  const auto part = [](std::int64_t begin, std::int64_t end) {
    double sum = 0.0;
    for (std::int64_t i = begin; i < end; ++i) sum += std::sin(static_cast<double>(i * i)) * 1e8;
    return sum;
  };
  const double forwards = ordered_sum(1000, 7, serial_for, part);
  EXPECT_EQ(ordered_sum(1000, 7, backwards, part), forwards);
  EXPECT_NEAR(forwards, part(0, 1000), 1e-4);
}

}  // namespace
}  // namespace flatfield::numerics
