#include "flatfield/numerics/singular_value.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <span>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

/// Columns that are multiplied together: all their rows stay in the second-level cache.
constexpr std::int64_t kColumns = 1024;

double dot(const double* a, const float* b, std::int64_t count) {
  constexpr std::int64_t kLanes = 8;
  std::array<double, kLanes> part{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      part[static_cast<std::size_t>(lane)] += a[i + lane] * b[i + lane];
  for (; i < count; ++i) part[0] += a[i] * b[i];
  return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

/// M M' u.
std::vector<double> multiply(BlockView<const float> m, const std::vector<double>& u,
                             const ParallelFor& parallel_for) {
  const std::int64_t rows = m.shape.y;
  const std::int64_t blocks = ceil_div(m.shape.x, kColumns);
  std::vector<double> parts(static_cast<std::size_t>(blocks * rows));
  parallel_for(blocks, [&](std::int64_t block) {
    const std::int64_t begin = block * kColumns;
    const std::int64_t count = std::min(kColumns, m.shape.x - begin);
    std::array<double, kColumns> v{};
    for (std::int64_t row = 0; row < rows; ++row) {
      const double factor = u[static_cast<std::size_t>(row)];
      const float* values = m.row(0, row) + begin;
      for (std::int64_t i = 0; i < count; ++i)
        v[static_cast<std::size_t>(i)] += factor * static_cast<double>(values[i]);
    }
    for (std::int64_t row = 0; row < rows; ++row)
      parts[static_cast<std::size_t>(block * rows + row)] =
          dot(v.data(), m.row(0, row) + begin, count);
  });
  std::vector<double> product(u.size(), 0.0);
  for (std::size_t i = 0; i < parts.size(); ++i) product[i % product.size()] += parts[i];
  return product;
}

double inner_product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

double largest_singular_value(BlockView<const float> matrix, const ParallelFor& parallel_for) {
  if (matrix.shape.empty() || matrix.shape.z != 1 || !matrix.contiguous())
    throw Error(
        ErrorCode::kInternal,
        "largest_singular_value: expected a contiguous matrix, found " + to_string(matrix.shape));
  // Random numbers of a fixed seed: no matrix of images is orthogonal to them by design.
  std::mt19937 random(1);
  std::vector<double> u(static_cast<std::size_t>(matrix.shape.y));
  for (double& value : u) value = 0.5 + static_cast<double>(random()) / 0x1p33;

  constexpr int kMostProducts = 1000;
  constexpr double kTolerance = 1e-12;
  double eigenvalue = 0.0;
  for (int product = 0; product < kMostProducts; ++product) {
    const double norm = std::sqrt(inner_product(u, u));
    if (norm == 0.0) return 0.0;
    for (double& value : u) value /= norm;
    std::vector<double> next = multiply(matrix, u, parallel_for);
    const double before = eigenvalue;
    eigenvalue = inner_product(u, next);
    u = std::move(next);
    if (std::abs(eigenvalue - before) <= kTolerance * eigenvalue) break;
  }
  return std::sqrt(std::max(eigenvalue, 0.0));
}

}  // namespace flatfield::numerics
