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

/// Far more than any axis of a volume; beyond it memory and exact squares of a distance would run out.
constexpr double kLargestRadius = 1e7;
/// Values per stretch: 17 lines of this many doubles (sigma 2) stay within a 32 KiB cache.
constexpr std::int64_t kStretch = 192;
/// Rows of the x pass, and stretches of the others, per call of the parallel body.
constexpr std::int64_t kRowsPerTask = 32;
constexpr std::int64_t kColumnsPerTask = 8;

/// Half-sample reflection of any index into [0, length).
std::int64_t reflect(std::int64_t index, std::int64_t length) {
  if (index >= 0 && index < length) return index;
  // Next to the axis, which is all but always, without a division: each row has 2 * radius of these.
  if (index < 0 && index >= -length) return -1 - index;
  if (index >= length && index < 2 * length) return 2 * length - 1 - index;
  const std::int64_t period = 2 * length;
  const std::int64_t phase = ((index % period) + period) % period;
  return phase < length ? phase : period - 1 - phase;
}

/// Filters columns of `length` samples in place, up to kStretch neighbouring ones at once, and writes their samples
/// [begin, end) alone. The lines that are still needed are kept, widened, in a ring.
class ColumnFilter {
 public:
  /// The kernel must outlive it.
  ColumnFilter(const Kernel& kernel, std::int64_t length, std::int64_t begin, std::int64_t end)
      : kernel_(kernel), length_(length), begin_(begin), end_(end) {
    const std::int64_t radius = kernel.radius();
    // Where the window of two sums is shorter than the axis it holds every reflected line too; otherwise all
    // lines are kept.
    slots_ = std::min(2 * radius + 2, length);
    ring_.resize(static_cast<std::size_t>(slots_ * kStretch));
    lines_.resize(static_cast<std::size_t>(end - begin + 2 * radius));
    for (std::int64_t i = 0; i < std::ssize(lines_); ++i)
      lines_[static_cast<std::size_t>(i)] = slot(reflect(begin + i - radius, length));
  }

  /// Filters the columns from `first` on, `width` of them; their samples are `stride` apart.
  void apply(float* first, std::int64_t stride, std::int64_t width) {
    const std::int64_t radius = kernel_.radius();
    std::int64_t loaded = std::max<std::int64_t>(0, begin_ - radius);
    const auto load = [&](std::int64_t last) {
      for (; loaded < std::min(last, length_); ++loaded) widen_line(first + loaded * stride, width, slot(loaded));
    };
    std::int64_t i = begin_;
    if (kernel_.parity == Parity::kEven)
      for (; i + 2 <= end_; i += 2) {
        load(i + radius + 2);
        sum_even_line_pair(lines_.data() + (i - begin_), radius, kernel_.weights.data(), width, first + i * stride,
                           first + (i + 1) * stride);
      }
    for (; i < end_; ++i) {
      load(i + radius + 1);
      kernel_.apply(lines_.data() + (i - begin_), width, first + i * stride);
    }
  }

 private:
  [[nodiscard]] double* slot(std::int64_t line) { return ring_.data() + line % slots_ * kStretch; }

  const Kernel& kernel_;
  const std::int64_t length_;
  const std::int64_t begin_;
  const std::int64_t end_;
  std::int64_t slots_ = 0;
  std::vector<double> ring_;
  std::vector<const double*> lines_;  ///< those of the first sum, and one more for each further one
};

/// Filters rows of `length` samples in place along x, and writes their samples [begin, end) alone.
class RowFilter {
 public:
  /// The kernel must outlive it.
  RowFilter(const Kernel& kernel, std::int64_t length, std::int64_t begin, std::int64_t end)
      : kernel_(kernel), length_(length), begin_(begin), end_(end) {
    extended_.resize(static_cast<std::size_t>(length + 2 * kernel.radius()));
    for (std::size_t i = 0; i < kernel.weights.size(); ++i)
      lines_.push_back(extended_.data() + begin + static_cast<std::int64_t>(i));
  }

  void apply(float* row) {
    const std::int64_t radius = kernel_.radius();
    double* const middle = extended_.data() + radius;
    const std::int64_t first = std::max<std::int64_t>(0, begin_ - radius);
    const std::int64_t last = std::min(length_, end_ + radius);
    widen_line(row + first, last - first, middle + first);
    for (std::int64_t i = begin_ - radius; i < 0; ++i) middle[i] = middle[reflect(i, length_)];
    for (std::int64_t i = length_; i < end_ + radius; ++i) middle[i] = middle[reflect(i, length_)];
    kernel_.apply(lines_.data(), end_ - begin_, row + begin_);
  }

 private:
  const Kernel& kernel_;
  const std::int64_t length_;
  const std::int64_t begin_;
  const std::int64_t end_;
  std::vector<double> extended_;      ///< a row with its reflections
  std::vector<const double*> lines_;  ///< the row, shifted
};

/// One pass, along one axis.
void filter_axis(BlockView<float> volume, int axis, const Kernel& kernel, std::int64_t begin, std::int64_t end,
                 const ParallelFor& parallel_for) {
  const Extent3& shape = volume.shape;
  if (axis == 2) {
    const std::int64_t groups = ceil_div(shape.y, kRowsPerTask);
    parallel_for(shape.z * groups, [&](std::int64_t task) {
      RowFilter filter(kernel, shape.x, begin, end);
      const std::int64_t first = task % groups * kRowsPerTask;
      for (std::int64_t y = first; y < std::min(first + kRowsPerTask, shape.y); ++y)
        filter.apply(volume.row(task / groups, y));
    });
    return;
  }
  // One task per stretch of x and some indices of the axis that is left over.
  const std::int64_t stride = axis == 0 ? volume.stride_z : volume.stride_y;
  const std::int64_t other_stride = axis == 0 ? volume.stride_y : volume.stride_z;
  const std::int64_t others = axis == 0 ? shape.y : shape.z;
  const std::int64_t stretches = ceil_div(shape.x, kStretch);
  const std::int64_t groups = ceil_div(others, kColumnsPerTask);
  parallel_for(groups * stretches, [&](std::int64_t task) {
    ColumnFilter filter(kernel, shape[axis], begin, end);
    const std::int64_t x = task % stretches * kStretch;
    const std::int64_t first = task / stretches * kColumnsPerTask;
    for (std::int64_t i = first; i < std::min(first + kColumnsPerTask, others); ++i)
      filter.apply(volume.data + i * other_stride + x, stride, std::min(kStretch, shape.x - x));
  });
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
  if (truncate * sigma_voxels > kLargestRadius)
    throw Error(ErrorCode::kUsage, "a Gaussian of sigma " + std::to_string(sigma_voxels) + " voxels is too wide", "",
                "choose a sigma of the order of the volume's size, or less");
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

void gaussian_filter_axis(BlockView<float> volume, int axis, double sigma_voxels, std::int64_t begin, std::int64_t end,
                          const ParallelFor& parallel_for) {
  if (volume.shape.empty() || begin >= end || !(sigma_voxels > 0)) return;
  filter_axis(volume, axis, {gaussian_kernel(sigma_voxels), Parity::kEven}, begin, end, parallel_for);
}

void gaussian_derivative(BlockView<float> volume, const std::array<double, 3>& sigma_voxels,
                         const std::array<int, 3>& orders, const ParallelFor& parallel_for) {
  if (volume.shape.empty()) return;
  for (int axis = 0; axis < 3; ++axis) {
    const auto at = static_cast<std::size_t>(axis);
    if (!(sigma_voxels[at] > 0)) continue;
    const Kernel kernel{gaussian_kernel(sigma_voxels[at], 4.0, orders[at]),
                        orders[at] == 1 ? Parity::kOdd : Parity::kEven};
    filter_axis(volume, axis, kernel, 0, volume.shape[axis], parallel_for);
  }
}

}  // namespace flatfield::numerics
