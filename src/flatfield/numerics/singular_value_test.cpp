#include "flatfield/numerics/singular_value.h"

#include <gtest/gtest.h>

#include <Eigen/SVD>
#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

Block<float> random_matrix(std::int64_t rows, std::int64_t columns, float low, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(low, 1.F);
  Block<float> matrix({1, rows, columns});
  for (float& v : matrix.span()) v = value(random);
  return matrix;
}

double by_decomposition(const Block<float>& matrix) {
  Eigen::MatrixXd m(matrix.shape().y, matrix.shape().x);
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j) m(i, j) = matrix.at(0, i, j);
  return Eigen::JacobiSVD<Eigen::MatrixXd>(m).singularValues()(0);
}

TEST(SingularValue, is_that_of_a_full_decomposition) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    std::mt19937 random(seed);
    const auto size = [&](unsigned most) { return static_cast<std::int64_t>(1 + random() % most); };
    const Block<float> m = random_matrix(size(20), size(60), seed % 2 == 0 ? 0.F : -1.F, seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + ", shape " + to_string(m.shape()));
    const double expected = by_decomposition(m);
    EXPECT_NEAR(largest_singular_value(m.view(), serial_for), expected, 1e-6 * expected);
  }
}

TEST(SingularValue, of_more_columns_than_one_block_does_not_depend_on_the_threads) {
  const Block<float> m = random_matrix(5, 5000, -1.F, 3);
  const auto three_threads = [](std::int64_t count, const auto& body) {
    std::vector<std::thread> threads;
    for (std::int64_t t = 0; t < 3; ++t)
      threads.emplace_back([&body, count, t] {
        for (std::int64_t i = t; i < count; i += 3) body(i);
      });
    for (std::thread& thread : threads) thread.join();
  };
  const double one = largest_singular_value(m.view(), serial_for);
  EXPECT_EQ(largest_singular_value(m.view(), three_threads), one);
  EXPECT_NEAR(one, by_decomposition(m), 1e-6 * one);
}

TEST(SingularValue, of_opposite_rows_is_not_missed) {
  Block<float> m = random_matrix(1, 50, 0.F, 4);
  Block<float> both({1, 2, 50});
  for (std::int64_t i = 0; i < 50; ++i) {
    both.at(0, 0, i) = m.at(0, 0, i);
    both.at(0, 1, i) = -m.at(0, 0, i);
  }
  EXPECT_NEAR(largest_singular_value(both.view(), serial_for), by_decomposition(both), 1e-6);
}

TEST(SingularValue, of_zeros_is_zero) {
  const Block<float> zeros({1, 3, 7}, 0.F);
  EXPECT_EQ(largest_singular_value(zeros.view(), serial_for), 0.0);
}

TEST(SingularValue, of_an_empty_matrix_is_an_error) {
  const Block<float> empty(Extent3{1, 0, 7});
  EXPECT_THROW((void)largest_singular_value(empty.view(), serial_for), Error);
}

}  // namespace
}  // namespace flatfield::numerics
