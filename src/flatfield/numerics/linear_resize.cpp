#include "flatfield/numerics/linear_resize.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/whole_sample_reflection.h"

namespace flatfield::numerics {
namespace {

constexpr std::int64_t kRowsPerTask = 16;

double centre(std::int64_t o, double scale) { return (static_cast<double>(o) + 0.5) * scale - 0.5; }

/// What is summed up for each sample of one axis: `count` neighbours from `first` on, each with a
/// weight.
class AxisWeights {
 public:
  struct Neighbour {
    std::int64_t index;
    double weight;
  };

  AxisWeights(std::int64_t source, std::int64_t target, LinearResize mode) {
    const double scale = static_cast<double>(source) / static_cast<double>(target);
    for (std::int64_t o = 0; o < target; ++o) {
      begin_.push_back(neighbours_.size());
      if (mode == LinearResize::kSkimage)
        add_two_nearest(centre(o, scale), source);
      else
        add_triangle(centre(o, scale), std::max(scale, 1.0), source);
    }
    begin_.push_back(neighbours_.size());
  }

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(begin_.size()) - 1; }
  [[nodiscard]] std::span<const Neighbour> of(std::int64_t o) const {
    const auto i = static_cast<std::size_t>(o);
    return std::span(neighbours_).subspan(begin_[i], begin_[i + 1] - begin_[i]);
  }

 private:
  void add_two_nearest(double c, std::int64_t source) {
    if (c < 0.0) c = -c;
    if (source == 1) c = 0.0;
    const double lower = std::floor(c);
    const auto index = static_cast<std::int64_t>(lower);
    neighbours_.push_back({whole_sample_reflection(index, source), 1.0 - (c - lower)});
    neighbours_.push_back({whole_sample_reflection(index + 1, source), c - lower});
  }

  void add_triangle(double c, double half_width, std::int64_t source) {
    const std::size_t first = neighbours_.size();
    const auto begin =
        std::max<std::int64_t>(static_cast<std::int64_t>(std::ceil(c - half_width)), 0);
    double sum = 0.0;
    for (std::int64_t i = begin; i < source && static_cast<double>(i) < c + half_width; ++i) {
      const double weight = 1.0 - std::abs(c - static_cast<double>(i)) / half_width;
      if (weight <= 0.0) continue;
      neighbours_.push_back({i, weight});
      sum += weight;
    }
    for (std::size_t i = first; i < neighbours_.size(); ++i) neighbours_[i].weight /= sum;
  }

  std::vector<Neighbour> neighbours_;
  std::vector<std::size_t> begin_;  ///< of each sample, and the end
};

/// scipy.ndimage.gaussian_filter(plane, sigma, mode="mirror"). The filter reflects about the
/// border, not about the border's pixels: a margin of what the kernel reaches makes the difference
/// vanish.
Block<float> blurred(BlockView<const float> plane, double sigma_y, double sigma_x,
                     const ParallelFor& parallel_for) {
  const auto margin = [](double sigma) {
    return static_cast<std::int64_t>(gaussian_kernel(sigma).size() / 2);
  };
  const std::int64_t margin_y = margin(sigma_y);
  const std::int64_t margin_x = margin(sigma_x);
  const Extent3 shape = plane.shape;
  Block<float> padded({1, shape.y + 2 * margin_y, shape.x + 2 * margin_x});
  parallel_for(padded.shape().y, [&](std::int64_t y) {
    const float* from = plane.row(0, whole_sample_reflection(y - margin_y, shape.y));
    float* to = padded.view().row(0, y);
    std::copy_n(from, shape.x, to + margin_x);
    for (std::int64_t i = 1; i <= margin_x; ++i) {
      to[margin_x - i] = from[whole_sample_reflection(-i, shape.x)];
      to[margin_x + shape.x - 1 + i] = from[whole_sample_reflection(shape.x - 1 + i, shape.x)];
    }
  });
  gaussian_filter(padded.view(), {0.0, sigma_y, sigma_x}, parallel_for);
  Block<float> out(shape);
  copy_block<float>(padded.view().sub({{0, margin_y, margin_x}, shape}), out.view());
  return out;
}

/// Each output row is a weighted sum of source rows, resampled along x.
Block<float> sample(BlockView<const float> plane, const AxisWeights& rows,
                    const AxisWeights& columns, const ParallelFor& parallel_for) {
  Block<float> out({1, rows.size(), columns.size()});
  parallel_for(ceil_div(rows.size(), kRowsPerTask), [&](std::int64_t task) {
    std::vector<double> sums(static_cast<std::size_t>(columns.size()));
    std::vector<double> weighted(static_cast<std::size_t>(plane.shape.x));
    const std::int64_t end = std::min(rows.size(), (task + 1) * kRowsPerTask);
    for (std::int64_t y = task * kRowsPerTask; y < end; ++y) {
      std::fill(sums.begin(), sums.end(), 0.0);
      // Row by row, so that the terms are those of scipy.ndimage.zoom in its order.
      for (const AxisWeights::Neighbour& row : rows.of(y)) {
        const float* values = plane.row(0, row.index);
        for (std::size_t x = 0; x < weighted.size(); ++x)
          weighted[x] = static_cast<double>(values[x]) * row.weight;
        for (std::int64_t x = 0; x < columns.size(); ++x)
          for (const AxisWeights::Neighbour& column : columns.of(x))
            sums[static_cast<std::size_t>(x)] +=
                weighted[static_cast<std::size_t>(column.index)] * column.weight;
      }
      std::transform(sums.begin(), sums.end(), out.view().row(0, y),
                     [](double sum) { return static_cast<float>(sum); });
    }
  });
  return out;
}

}  // namespace

Block<float> resize_linear(BlockView<const float> plane, std::int64_t height, std::int64_t width,
                           LinearResize mode, const ParallelFor& parallel_for) {
  if (plane.shape.empty() || plane.shape.z != 1 || height < 1 || width < 1)
    throw Error(ErrorCode::kInternal, "resize_linear: cannot resize " + to_string(plane.shape) +
                                          " to " + std::to_string(height) + " x " +
                                          std::to_string(width));
  const Extent3 target{1, height, width};
  if (target == plane.shape) {
    Block<float> copy(target);
    copy_block(plane, copy.view());
    return copy;
  }
  const AxisWeights rows(plane.shape.y, height, mode);
  const AxisWeights columns(plane.shape.x, width, mode);
  const auto sigma = [](std::int64_t source, std::int64_t size) {
    return std::max(0.0, (static_cast<double>(source) / static_cast<double>(size) - 1.0) / 2.0);
  };
  const double sigma_y = sigma(plane.shape.y, height);
  const double sigma_x = sigma(plane.shape.x, width);
  if (mode == LinearResize::kJax || (sigma_y == 0.0 && sigma_x == 0.0))
    return sample(plane, rows, columns, parallel_for);
  return sample(blurred(plane, sigma_y, sigma_x, parallel_for).view(), rows, columns, parallel_for);
}

}  // namespace flatfield::numerics
