#include "flatfield/numerics/spline_resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "flatfield/numerics/whole_sample_reflection.h"

// Every voxel is computed with the operations of scipy.ndimage.zoom in their order, so that not
// only the image but its rounding is scipy's. Speed comes from the layout alone: lines are filtered
// side by side, and what several pixels share is computed once.

namespace flatfield::numerics {
namespace {

/// Pole of the cubic B-spline prefilter, sqrt(3) - 2.
constexpr double kPole = -0.267949192431122706472553658494127633;

/// What samples are multiplied by before the prefilter; a lone sample is its own coefficient.
double prefilter_gain(std::int64_t samples) {
  return samples > 1 ? (1.0 - kPole) * (1.0 - 1.0 / kPole) : 1.0;
}

/// Lines are filtered in groups of this many, side by side: one cache line of float.
constexpr std::int64_t kLanes = 16;
using Lanes = std::array<double, kLanes>;
constexpr int kTaps = 4;

/// Where and how the samples of one axis are taken.
class AxisSampling {
 public:
  AxisSampling(std::int64_t source, std::int64_t target)
      : first_(static_cast<std::size_t>(target)) {
    for (auto& weights : weights_) weights.resize(static_cast<std::size_t>(target));
    const double scale = static_cast<double>(source) / static_cast<double>(target);
    for (std::int64_t o = 0; o < target; ++o) {
      double x = (static_cast<double>(o) + 0.5) * scale - 0.5;
      if (x < 0.0) x = -x;
      if (source == 1) x = 0.0;
      const double left = std::floor(x);
      first_[static_cast<std::size_t>(o)] = static_cast<std::int64_t>(left) - 1;
      set_weights(static_cast<std::size_t>(o), x - left);
    }
  }

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(first_.size()); }
  /// Index of the first of the four coefficients of sample o, -1 to source - 2: two before the
  /// ends of the source and two behind are reflected ones.
  [[nodiscard]] std::int64_t first(std::int64_t o) const {
    return first_[static_cast<std::size_t>(o)];
  }
  /// The weights of one tap for all samples.
  [[nodiscard]] const double* weights(int tap) const {
    return weights_[static_cast<std::size_t>(tap)].data();
  }

 private:
  void set_weights(std::size_t o, double y) {
    const double z = 1.0 - y;
    const double w0 = z * z * z / 6.0;
    const double w1 = (y * y * (y - 2.0) * 3.0 + 4.0) / 6.0;
    const double w2 = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0;
    weights_[0][o] = w0;
    weights_[1][o] = w1;
    weights_[2][o] = w2;
    weights_[3][o] = 1.0 - w0 - w1 - w2;
  }

  std::vector<std::int64_t> first_;
  std::array<std::vector<double>, kTaps> weights_;
};

/// Turns samples (already multiplied by the gain) into B-spline coefficients, in place, for kLanes
/// lines at once. Whole-sample reflection at both ends.
void prefilter(std::span<Lanes> c) {
  const std::size_t n = c.size();
  if (n < 2) return;
  const double end_power = std::pow(kPole, static_cast<double>(n - 1));
  for (std::size_t l = 0; l < kLanes; ++l) c[0][l] += end_power * c[n - 1][l];
  double power = kPole;
  // Beyond this bound a float32 image cannot show the rest of the sum.
  for (std::size_t i = 1; i < n - 1 && std::abs(power) > 1e-100; ++i, power *= kPole)
    for (std::size_t l = 0; l < kLanes; ++l)
      c[0][l] += power * (c[i][l] + end_power * c[n - 1 - i][l]);
  for (std::size_t l = 0; l < kLanes; ++l) c[0][l] /= 1.0 - end_power * end_power;

  for (std::size_t i = 1; i < n; ++i)
    for (std::size_t l = 0; l < kLanes; ++l) c[i][l] += kPole * c[i - 1][l];
  for (std::size_t l = 0; l < kLanes; ++l)
    c[n - 1][l] = (kPole * c[n - 2][l] + c[n - 1][l]) * kPole / (kPole * kPole - 1.0);
  for (std::size_t i = n - 1; i-- > 0;)
    for (std::size_t l = 0; l < kLanes; ++l) c[i][l] = kPole * (c[i + 1][l] - c[i][l]);
}

/// Samples [first, last) of an axis.
struct Stretch {
  std::int64_t first;
  std::int64_t last;
};

/// The rows of coefficients that some rows of a result need, cut into strips of kLanes columns that lie one
/// after the other: both filters then read and write memory in long runs, however wide the plane
/// is.
class CoefficientRows {
 public:
  CoefficientRows(const AxisSampling& rows, const Stretch& samples, std::int64_t height, std::int64_t width)
      : slot_(static_cast<std::size_t>(height), kUnused), width_(width) {
    for (std::int64_t o = samples.first; o < samples.last; ++o)
      for (int tap = 0; tap < kTaps; ++tap)
        slot_[static_cast<std::size_t>(whole_sample_reflection(rows.first(o) + tap, height))] = 0;
    for (std::int64_t& slot : slot_)
      if (slot != kUnused) slot = count_++;
    strips_ = Block<Lanes>({1, strip_count(), count_});
  }

  [[nodiscard]] std::int64_t width() const { return width_; }
  [[nodiscard]] std::int64_t strip_count() const { return ceil_div(width_, kLanes); }
  /// How many rows there are; each has a slot in [0, count()).
  [[nodiscard]] std::int64_t count() const { return count_; }
  /// The slot of source row y; none if no sample needs it.
  [[nodiscard]] std::optional<std::int64_t> slot_of(std::int64_t y) const {
    const std::int64_t slot = slot_[static_cast<std::size_t>(y)];
    return slot == kUnused ? std::nullopt : std::optional(slot);
  }
  /// The kLanes columns from strip * kLanes on; those beyond the plane mean nothing.
  [[nodiscard]] Lanes& at(std::int64_t strip, std::int64_t slot) {
    return strips_.at(0, strip, slot);
  }
  [[nodiscard]] const Lanes& at(std::int64_t strip, std::int64_t slot) const {
    return strips_.at(0, strip, slot);
  }

 private:
  static constexpr std::int64_t kUnused = -1;
  std::vector<std::int64_t> slot_;
  std::int64_t width_;
  std::int64_t count_ = 0;
  Block<Lanes> strips_;
};

/// Filters along y, and keeps the rows that are needed.
void filter_columns(BlockView<const float> plane, CoefficientRows& rows,
                    const ParallelFor& parallel_for) {
  const std::int64_t height = plane.shape.y;
  const double gain = prefilter_gain(height);
  parallel_for(rows.strip_count(), [&](std::int64_t strip) {
    const std::int64_t x0 = strip * kLanes;
    const std::int64_t lanes = std::min(kLanes, plane.shape.x - x0);
    std::vector<Lanes> lines(static_cast<std::size_t>(height), Lanes{});
    for (std::int64_t y = 0; y < height; ++y) {
      const float* from = plane.row(0, y) + x0;
      double* to = lines[static_cast<std::size_t>(y)].data();
      for (std::int64_t l = 0; l < lanes; ++l) to[l] = static_cast<double>(from[l]) * gain;
    }
    prefilter(lines);
    for (std::int64_t y = 0; y < height; ++y)
      if (const auto slot = rows.slot_of(y))
        rows.at(strip, *slot) = lines[static_cast<std::size_t>(y)];
  });
}

/// Filters the needed rows along x.
void filter_rows(CoefficientRows& rows, const ParallelFor& parallel_for) {
  const double gain = prefilter_gain(rows.width());
  parallel_for(ceil_div(rows.count(), kLanes), [&](std::int64_t group) {
    const std::int64_t first = group * kLanes;
    const std::int64_t lanes = std::min(kLanes, rows.count() - first);
    std::vector<Lanes> lines(static_cast<std::size_t>(rows.strip_count() * kLanes), Lanes{});
    for (std::int64_t strip = 0; strip < rows.strip_count(); ++strip) {
      Lanes* to = lines.data() + strip * kLanes;
      for (std::int64_t l = 0; l < lanes; ++l)
        for (std::size_t i = 0; i < kLanes; ++i)
          to[i][static_cast<std::size_t>(l)] = rows.at(strip, first + l)[i] * gain;
    }
    prefilter(std::span(lines).first(static_cast<std::size_t>(rows.width())));
    for (std::int64_t strip = 0; strip < rows.strip_count(); ++strip) {
      const Lanes* from = lines.data() + strip * kLanes;
      for (std::int64_t l = 0; l < lanes; ++l)
        for (std::size_t i = 0; i < kLanes; ++i)
          rows.at(strip, first + l)[i] = from[i][static_cast<std::size_t>(l)];
    }
  });
}

struct Range {
  float low;
  float high;
};

/// The smallest and the largest value of a plane.
Range range_of(BlockView<const float> plane, const ParallelFor& parallel_for) {
  std::vector<Range> of_row(static_cast<std::size_t>(plane.shape.y));
  parallel_for(plane.shape.y, [&](std::int64_t y) {
    // Separate lanes, because the compiler may not reorder the comparisons of one minimum.
    std::array<float, kLanes> low;
    std::array<float, kLanes> high;
    const float* row = plane.row(0, y);
    low.fill(row[0]);
    high.fill(row[0]);
    std::int64_t x = 0;
    for (; x + kLanes <= plane.shape.x; x += kLanes)
      for (std::int64_t l = 0; l < kLanes; ++l) {
        const auto lane = static_cast<std::size_t>(l);
        low[lane] = row[x + l] < low[lane] ? row[x + l] : low[lane];
        high[lane] = row[x + l] > high[lane] ? row[x + l] : high[lane];
      }
    for (; x < plane.shape.x; ++x) {
      low[0] = std::min(low[0], row[x]);
      high[0] = std::max(high[0], row[x]);
    }
    of_row[static_cast<std::size_t>(y)] = {*std::min_element(low.begin(), low.end()),
                                           *std::max_element(high.begin(), high.end())};
  });
  Range total = of_row.front();
  for (const Range& range : of_row)
    total = {std::min(total.low, range.low), std::max(total.high, range.high)};
  return total;
}

/// Four rows of coefficients, each multiplied by the weight that it has in one row of samples. Each
/// is continued by reflection: one before, two behind.
class WeightedRows {
 public:
  explicit WeightedRows(std::int64_t width) : width_(width), values_({1, kTaps, width + 3}) {}

  void set(int tap, const CoefficientRows& coefficients, std::int64_t slot, double weight) {
    double* row = values_.data() + tap * (width_ + 3) + 1;
    for (std::int64_t strip = 0; strip < coefficients.strip_count(); ++strip) {
      const Lanes& from = coefficients.at(strip, slot);
      const std::int64_t x0 = strip * kLanes;
      const std::int64_t lanes = std::min(kLanes, width_ - x0);
      for (std::int64_t l = 0; l < lanes; ++l)
        row[x0 + l] = from[static_cast<std::size_t>(l)] * weight;
    }
    row[-1] = row[whole_sample_reflection(-1, width_)];
    row[width_] = row[whole_sample_reflection(width_, width_)];
    row[width_ + 1] = row[whole_sample_reflection(width_ + 1, width_)];
  }
  /// From column x of the row of one tap, x >= -1.
  [[nodiscard]] const double* from(int tap, std::int64_t x) const {
    return values_.data() + tap * (width_ + 3) + 1 + x;
  }

 private:
  std::int64_t width_;
  Block<double> values_;
};

/// Samples one row along x.
void sample_row(const WeightedRows& rows, const AxisSampling& columns, const Range& range,
                float* out) {
  const double* w0 = columns.weights(0);
  const double* w1 = columns.weights(1);
  const double* w2 = columns.weights(2);
  const double* w3 = columns.weights(3);
  const std::int64_t width = columns.size();
  for (std::int64_t begin = 0; begin < width;) {
    // Samples between the same two columns share their sixteen coefficients.
    const std::int64_t first = columns.first(begin);
    std::int64_t end = begin + 1;
    while (end < width && columns.first(end) == first) ++end;
    std::array<double, kTaps * kTaps> c;
    for (int tap = 0; tap < kTaps; ++tap)
      std::copy_n(rows.from(tap, first), kTaps, c.data() + tap * kTaps);
    for (std::int64_t o = begin; o < end; ++o) {
      double sum = c[0] * w0[o];
      sum += c[1] * w1[o];
      sum += c[2] * w2[o];
      sum += c[3] * w3[o];
      sum += c[4] * w0[o];
      sum += c[5] * w1[o];
      sum += c[6] * w2[o];
      sum += c[7] * w3[o];
      sum += c[8] * w0[o];
      sum += c[9] * w1[o];
      sum += c[10] * w2[o];
      sum += c[11] * w3[o];
      sum += c[12] * w0[o];
      sum += c[13] * w1[o];
      sum += c[14] * w2[o];
      sum += c[15] * w3[o];
      const auto value = static_cast<float>(sum);
      const float raised = value < range.low ? range.low : value;
      out[o] = raised > range.high ? range.high : raised;
    }
    begin = end;
  }
}

/// Rows of a result that one task samples.
constexpr std::int64_t kRowsPerTask = 16;

/// How far the rows of a result from `first` on go that need about so many rows of coefficients; as many as a task
/// samples at least.
std::int64_t end_of_band(const AxisSampling& rows, std::int64_t first, std::int64_t most_rows) {
  std::int64_t needed = 0;
  std::int64_t highest = -2;
  for (std::int64_t o = first; o < rows.size(); ++o) {
    const std::int64_t last = rows.first(o) + kTaps - 1;
    needed += last - std::max(highest, rows.first(o) - 1);
    highest = last;
    if (needed > most_rows && o - first >= kRowsPerTask) return o;
  }
  return rows.size();
}

/// Resizes some rows of the result.
void resize_band(BlockView<const float> plane, const AxisSampling& rows, const AxisSampling& columns, const Range& range,
                 const Stretch& band, BlockView<float> out, const ParallelFor& parallel_for) {
  CoefficientRows coefficients(rows, band, plane.shape.y, plane.shape.x);
  filter_columns(plane, coefficients, parallel_for);
  filter_rows(coefficients, parallel_for);
  parallel_for(ceil_div(band.last - band.first, kRowsPerTask), [&](std::int64_t task) {
    WeightedRows weighted(plane.shape.x);
    const std::int64_t begin = band.first + task * kRowsPerTask;
    const std::int64_t end = std::min(band.last, begin + kRowsPerTask);
    for (std::int64_t y = begin; y < end; ++y) {
      for (int tap = 0; tap < kTaps; ++tap)
        weighted.set(tap, coefficients,
                     *coefficients.slot_of(whole_sample_reflection(rows.first(y) + tap, plane.shape.y)),
                     rows.weights(tap)[y]);
      sample_row(weighted, columns, range, out.row(0, y));
    }
  });
}

}  // namespace

std::int64_t resize_bytes(const Extent3& plane) {
  constexpr std::int64_t kLeast = std::int64_t{16} << 20;
  return std::max(kLeast, plane.y * plane.x * static_cast<std::int64_t>(sizeof(float)) / 8);
}

Block<float> resize_plane(BlockView<const float> plane, std::int64_t height, std::int64_t width,
                          const ParallelFor& parallel_for) {
  return resize_plane_within(resize_bytes(plane.shape), plane, height, width, parallel_for);
}

Block<float> resize_plane_within(std::int64_t bytes, BlockView<const float> plane, std::int64_t height,
                                 std::int64_t width, const ParallelFor& parallel_for) {
  Block<float> out({1, height, width});
  if (out.shape() == plane.shape) {
    copy_block(plane, out.view());
    return out;
  }
  const AxisSampling rows(plane.shape.y, height);
  const AxisSampling columns(plane.shape.x, width);
  const Range range = range_of(plane, parallel_for);
  const std::int64_t row_bytes = ceil_div(plane.shape.x, kLanes) * static_cast<std::int64_t>(sizeof(Lanes));
  for (std::int64_t first = 0; first < height;) {
    const Stretch band{first, end_of_band(rows, first, bytes / row_bytes)};
    resize_band(plane, rows, columns, range, band, out.view(), parallel_for);
    first = band.last;
  }
  return out;
}

PlaneOfSize::PlaneOfSize(BlockView<const float> plane, std::int64_t height, std::int64_t width,
                         const ParallelFor& parallel_for)
    : view_(plane) {
  if (plane.shape.y == height && plane.shape.x == width) return;
  resized_ = resize_plane(plane, height, width, parallel_for);
  view_ = std::as_const(resized_).view();
}

}  // namespace flatfield::numerics
