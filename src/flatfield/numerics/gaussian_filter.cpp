#include "flatfield/numerics/gaussian_filter.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/numerics/line_sum.h"

namespace flatfield::numerics {
namespace {

// All three passes are one operation: a weighted sum of 2 * radius + 1 lines of doubles, taken
// value by value. Along z and y the lines are stretches of neighbouring x; along x they are one row
// shifted. So the innermost loop always runs over contiguous memory and vectorises.
// The weight of a line below the centre is that of the line above it, or (first derivative) its
// negative; scipy too joins the two lines before it multiplies.

enum class Parity { kEven, kOdd };

/// Weights by offset, and how those above the centre mirror those below it.
struct Kernel {
  std::vector<double> weights;
  Parity parity = Parity::kEven;

  [[nodiscard]] std::int64_t radius() const { return static_cast<std::int64_t>(weights.size() / 2); }
  /// Writes `count` weighted sums of the lines from lines[0] on, in scipy's order of additions.
  void apply(const double* const* lines, std::int64_t count, float* out) const {
    (parity == Parity::kEven ? sum_even_lines : sum_odd_lines)(lines, radius(), weights.data(), count, out);
  }
};

/// Values per stretch: 17 lines of this many doubles (sigma 2) stay within a 32 KiB cache.
constexpr std::int64_t kStretch = 192;
/// Rows of the x pass per call of the parallel body.
constexpr std::int64_t kRowsPerTask = 32;

/// Half-sample reflection of any index into [0, length).
std::int64_t reflect(std::int64_t index, std::int64_t length) {
  if (index >= 0 && index < length) return index;
  const std::int64_t period = 2 * length;
  const std::int64_t phase = ((index % period) + period) % period;
  return phase < length ? phase : period - 1 - phase;
}

/// Filters in place along an axis of `length` samples, `stride` apart, `width` <= kStretch
/// neighbouring columns at once. The lines that are still needed are kept, widened, in a ring.
void filter_columns(float* first, std::int64_t length, std::int64_t stride, std::int64_t width,
                    const Kernel& kernel) {
  const std::int64_t radius = kernel.radius();
  // Where the window of two sums is shorter than the axis it holds every reflected line too; otherwise all
  // lines are kept.
  const std::int64_t slots = std::min(2 * radius + 2, length);
  std::vector<double> ring(static_cast<std::size_t>(slots * width));
  const auto slot = [&](std::int64_t line) { return ring.data() + line % slots * width; };
  std::vector<const double*> lines(static_cast<std::size_t>(length + 2 * radius));
  for (std::int64_t i = 0; i < std::ssize(lines); ++i)
    lines[static_cast<std::size_t>(i)] = slot(reflect(i - radius, length));

  std::int64_t loaded = 0;
  const auto load = [&](std::int64_t last) {
    for (; loaded < std::min(last, length); ++loaded) widen_line(first + loaded * stride, width, slot(loaded));
  };
  std::int64_t i = 0;
  if (kernel.parity == Parity::kEven)
    for (; i + 2 <= length; i += 2) {
      load(i + radius + 2);
      sum_even_line_pair(lines.data() + i, radius, kernel.weights.data(), width, first + i * stride,
                         first + (i + 1) * stride);
    }
  for (; i < length; ++i) {
    load(i + radius + 1);
    kernel.apply(lines.data() + i, width, first + i * stride);
  }
}

/// Filters `rows` rows in place along x.
void filter_rows(float* first, std::int64_t rows, std::int64_t row_stride, std::int64_t length,
                 const Kernel& kernel) {
  const std::int64_t radius = kernel.radius();
  std::vector<double> extended(static_cast<std::size_t>(length + 2 * radius));
  double* const middle = extended.data() + radius;
  std::vector<const double*> lines(kernel.weights.size());
  for (std::size_t i = 0; i < lines.size(); ++i) lines[i] = extended.data() + i;
  for (std::int64_t y = 0; y < rows; ++y) {
    float* const row = first + y * row_stride;
    widen_line(row, length, middle);
    for (std::int64_t i = 1; i <= radius; ++i) {
      middle[-i] = middle[reflect(-i, length)];
      middle[length - 1 + i] = middle[reflect(length - 1 + i, length)];
    }
    kernel.apply(lines.data(), length, row);
  }
}

/// numpy's pairwise summation, so that the normalised weights have numpy's bits.
double pairwise_sum(std::span<const double> values) {
  const std::size_t count = values.size();
  if (count > 128) {
    const std::size_t half = count / 2 - count / 2 % 8;
    return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
  }
  std::size_t i = 0;
  double sum = 0;
  if (count >= 8) {
    std::array<double, 8> part{};
    for (; i + 8 <= count; i += 8)
      for (std::size_t k = 0; k < 8; ++k) part[k] += values[i + k];
    sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
  }
  for (; i < count; ++i) sum += values[i];
  return sum;
}

}  // namespace

std::vector<double> gaussian_kernel(double sigma_voxels, double truncate, int order) {
  if (order < 0 || order > 2)
    throw Error(ErrorCode::kInternal,
                "gaussian_kernel: expected order 0, 1 or 2, found " + std::to_string(order));
  if (!std::isfinite(sigma_voxels) || !std::isfinite(truncate) || truncate < 0)
    throw Error(ErrorCode::kInternal, "gaussian_kernel: expected finite numbers, found sigma " +
                                          std::to_string(sigma_voxels) + ", truncate " +
                                          std::to_string(truncate));
  if (sigma_voxels <= 0) return {1.0};
  const auto radius = static_cast<std::int64_t>(truncate * sigma_voxels + 0.5);
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(2 * radius + 1));
  const double factor = -0.5 / (sigma_voxels * sigma_voxels);
  for (std::int64_t x = -radius; x <= radius; ++x)
    weights.push_back(x == 0 ? 1.0 : std::exp(factor * static_cast<double>(x * x)));
  const double sum = pairwise_sum(weights);
  for (double& weight : weights) weight /= sum;
  if (order == 0) return weights;

  // Derivatives of the density at x: -x / s^2 and (x^2 - s^2) / s^4 times its value. A correlation
  // takes them mirrored, which changes the sign of the first.
  const double slope = -1.0 / (sigma_voxels * sigma_voxels);
  for (std::int64_t x = -radius; x <= radius; ++x) {
    const auto place = static_cast<double>(x);
    weights[static_cast<std::size_t>(x + radius)] *=
        order == 1 ? -place * slope : slope + place * place * (slope * slope);
  }
  return weights;
}

void gaussian_filter(BlockView<float> volume, const std::array<double, 3>& sigma_voxels,
                     const ParallelFor& parallel_for) {
  gaussian_derivative(volume, sigma_voxels, {0, 0, 0}, parallel_for);
}

void gaussian_derivative(BlockView<float> volume, const std::array<double, 3>& sigma_voxels,
                         const std::array<int, 3>& orders, const ParallelFor& parallel_for) {
  const Extent3 shape = volume.shape;
  if (shape.empty()) return;
  const std::int64_t stretches = ceil_div(shape.x, kStretch);
  const auto kernel_of = [&](std::size_t axis) {
    return Kernel{gaussian_kernel(sigma_voxels[axis], 4.0, orders[axis]),
                  orders[axis] == 1 ? Parity::kOdd : Parity::kEven};
  };

  // Along z or y: one task per stretch of x and index of the axis that is left over.
  const auto filter_across = [&](std::size_t axis, std::int64_t length, std::int64_t stride,
                                 std::int64_t others, std::int64_t other_stride) {
    const Kernel kernel = kernel_of(axis);
    parallel_for(others * stretches, [&](std::int64_t task) {
      const std::int64_t x = task % stretches * kStretch;
      filter_columns(volume.data + task / stretches * other_stride + x, length, stride,
                     std::min(kStretch, shape.x - x), kernel);
    });
  };
  if (sigma_voxels[0] > 0) filter_across(0, shape.z, volume.stride_z, shape.y, volume.stride_y);
  if (sigma_voxels[1] > 0) filter_across(1, shape.y, volume.stride_y, shape.z, volume.stride_z);
  if (sigma_voxels[2] > 0) {
    const Kernel kernel = kernel_of(2);
    const std::int64_t groups = ceil_div(shape.y, kRowsPerTask);
    parallel_for(shape.z * groups, [&](std::int64_t task) {
      const std::int64_t y = task % groups * kRowsPerTask;
      filter_rows(volume.row(task / groups, y), std::min(kRowsPerTask, shape.y - y),
                  volume.stride_y, shape.x, kernel);
    });
  }
}

}  // namespace flatfield::numerics
