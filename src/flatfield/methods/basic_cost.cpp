#include "flatfield/methods/basic_cost.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "flatfield/core/error.h"
#include "flatfield/numerics/dct.h"
#include "flatfield/numerics/float_order.h"
#include "flatfield/numerics/ordered_sum.h"

namespace flatfield::methods {
namespace {

/// Frames are counted in this many groups, each with its own histogram.
constexpr std::int64_t kGroups = 16;
constexpr std::size_t kHalfBits = std::size_t{1} << 16;

/// Adds up count(begin, end) over groups of frames, in order; each gives a histogram.
template <class Count>
auto merged_histograms(std::int64_t frames, const ParallelFor& parallel_for, Count count) {
  auto parts = numerics::ordered_parts(frames, ceil_div(frames, kGroups), parallel_for, count);
  for (std::size_t part = 1; part < parts.size(); ++part)
    for (std::size_t i = 0; i < parts[0].size(); ++i) parts[0][i] += parts[part][i];
  return std::move(parts[0]);
}

/// Where the value of a rank lies in a histogram, and its rank among the values there.
struct Place {
  std::size_t bin;
  std::int64_t rank;
};
Place find_rank(std::span<const std::int64_t> counts, std::int64_t rank) {
  std::size_t bin = 0;
  while (rank >= counts[bin]) rank -= counts[bin++];
  return {bin, rank};
}

/// Bins of numpy.histogram: equal ones, the last of which holds its upper edge.
class Bins {
 public:
  Bins(double low, double range, std::int64_t count) : low_(low), range_(range) {
    for (std::int64_t i = 0; i <= count; ++i)
      edges_.push_back(low + range * static_cast<double>(i) / static_cast<double>(count));
    edges_.back() = low + range;
  }
  [[nodiscard]] std::size_t size() const { return edges_.size() - 1; }
  [[nodiscard]] double width() const { return edges_[1] - edges_[0]; }
  [[nodiscard]] bool contains(double value) const {
    return value >= edges_.front() && value <= edges_.back();
  }
  [[nodiscard]] std::size_t of(double value) const {
    const auto guess =
        static_cast<std::size_t>((value - low_) / range_ * static_cast<double>(size()));
    std::size_t bin = std::min(guess, size() - 1);
    if (value < edges_[bin]) --bin;
    if (bin + 1 < size() && value >= edges_[bin + 1]) ++bin;
    return bin;
  }

 private:
  double low_;
  double range_;
  std::vector<double> edges_;
};

}  // namespace

CorrectedFrames::CorrectedFrames(const FrameStack& images, BlockView<const float> flatfield,
                                 BlockView<const float> darkfield)
    : images_(images), flatfield_(flatfield.data), darkfield_(darkfield.data) {
  if (flatfield.shape != images.shape || darkfield.shape != images.shape ||
      !flatfield.contiguous() || !darkfield.contiguous() || images.size() == 0)
    throw Error(ErrorCode::kInternal, "CorrectedFrames: the fields are not those of the frames");
}

std::vector<double> CorrectedFrames::quantiles(const std::vector<double>& q,
                                               const ParallelFor& parallel_for) const {
  const std::int64_t pixels = images_.shape.volume();
  const auto for_each_value = [&](std::int64_t begin, std::int64_t end, auto visit) {
    for (std::int64_t n = begin; n < end; ++n) {
      const float* const x = images_.data + n * pixels;
      for (std::int64_t i = 0; i < pixels; ++i)
        visit(numerics::ordered_bits((x[i] - darkfield_[i]) / flatfield_[i]));
    }
  };
  using Counts = std::vector<std::int64_t>;
  const Counts upper =
      merged_histograms(images_.frames, parallel_for, [&](std::int64_t begin, std::int64_t end) {
        Counts counts(kHalfBits);
        for_each_value(begin, end, [&](std::uint32_t bits) { ++counts[bits >> 16]; });
        return counts;
      });

  // Both neighbours of each quantile: their upper halves are known now, the lower ones are counted.
  const std::int64_t last = images_.size() - 1;
  std::vector<Place> places;
  for (const double share : q) {
    const auto rank = static_cast<std::int64_t>(share * static_cast<double>(last));
    places.push_back(find_rank(upper, rank));
    places.push_back(find_rank(upper, std::min(rank + 1, last)));
  }
  constexpr std::uint8_t kUnused = 255;
  std::vector<std::uint8_t> slot_of(kHalfBits, kUnused);
  std::uint8_t slots = 0;
  for (const Place& place : places)
    if (slot_of[place.bin] == kUnused) slot_of[place.bin] = slots++;
  const Counts lower =
      merged_histograms(images_.frames, parallel_for, [&](std::int64_t begin, std::int64_t end) {
        Counts counts(slots * kHalfBits);
        for_each_value(begin, end, [&](std::uint32_t bits) {
          const std::uint8_t slot = slot_of[bits >> 16];
          if (slot != kUnused) ++counts[slot * kHalfBits + (bits & 0xFFFFU)];
        });
        return counts;
      });
  const auto value_at = [&](const Place& place) {
    const auto counts = std::span(lower).subspan(slot_of[place.bin] * kHalfBits, kHalfBits);
    return numerics::from_ordered_bits(
        static_cast<std::uint32_t>(place.bin << 16 | find_rank(counts, place.rank).bin));
  };

  std::vector<double> out;
  for (std::size_t i = 0; i < q.size(); ++i) {
    const double position = q[i] * static_cast<double>(last);
    const double t = position - std::floor(position);
    const float below = value_at(places[2 * i]);
    const float above = value_at(places[2 * i + 1]);
    const double difference = above - below;
    out.push_back(t >= 0.5 ? above - difference * (1 - t) : below + difference * t);
  }
  return out;
}

double CorrectedFrames::entropy(double low, double range, std::int64_t bin_count,
                                const std::optional<FrameStack>& weights,
                                const ParallelFor& parallel_for) const {
  if (!std::isfinite(low) || !std::isfinite(range) || range <= 0.0) return std::nan("");
  const Bins bins(low, range, bin_count);
  const std::int64_t pixels = images_.shape.volume();
  const std::vector<double> counts =
      merged_histograms(images_.frames, parallel_for, [&](std::int64_t begin, std::int64_t end) {
        std::vector<double> part(bins.size(), 0.0);
        for (std::int64_t n = begin; n < end; ++n) {
          const float* const x = images_.data + n * pixels;
          const float* const w = weights ? weights->data + n * pixels : nullptr;
          for (std::int64_t i = 0; i < pixels; ++i) {
            const double value = (x[i] - darkfield_[i]) / flatfield_[i];
            if (bins.contains(value))
              part[bins.of(value)] += w == nullptr ? 1.0 : static_cast<double>(w[i]);
          }
        }
        return part;
      });
  double total = 0.0;
  for (const double count : counts) total += count;
  double sum = 0.0;
  for (const double count : counts) {
    const double density = count / (total * bins.width());
    if (density > 0.0) sum -= density * std::log(density);
  }
  return total > 0.0 ? sum * bins.width() : std::nan("");
}

double fourier_l0_norm(BlockView<const float> flatfield, double threshold, double radius,
                       const ParallelFor& parallel_for) {
  const Extent3& shape = flatfield.shape;
  if (shape.empty() || shape.z != 1)
    throw Error(ErrorCode::kInternal,
                "fourier_l0_norm: expected a plane, found " + to_string(shape));
  std::vector<double> values;
  for (std::int64_t y = 0; y < shape.y; ++y)
    values.insert(values.end(), flatfield.row(0, y), flatfield.row(0, y) + shape.x);
  numerics::Dct(shape).forward(values, parallel_for);
  // The orthonormal transform is the unnormalised one over this, for i, j > 0.
  const double scale = 2.0 * std::sqrt(static_cast<double>(shape.y) * static_cast<double>(shape.x));
  double counted = 0.0;
  double above = 0.0;
  for (std::int64_t y = 1; y < shape.y; ++y)
    for (std::int64_t x = 1; x < shape.x; ++x) {
      if (static_cast<double>(y * y + x * x) <= radius * radius) continue;
      counted += 1.0;
      if (values[static_cast<std::size_t>(y * shape.x + x)] * scale > threshold) above += 1.0;
    }
  return counted > 0.0 ? above / counted : 0.0;
}

BasicCost measure_cost(const FrameStack& images, const std::optional<FrameStack>& weights,
                       BlockView<const float> flatfield, BlockView<const float> darkfield,
                       double range, const BasicCostOptions& options,
                       const ParallelFor& parallel_for) {
  const CorrectedFrames corrected(images, flatfield, darkfield);
  const double low =
      options.vmin_factor * corrected.quantiles({options.histogram_qmin}, parallel_for)[0];
  BasicCost cost;
  cost.entropy = corrected.entropy(low, range, options.histogram_bins,
                                   options.histogram_use_fitting_weight ? weights : std::nullopt,
                                   parallel_for);
  cost.fourier_l0_norm = fourier_l0_norm(flatfield, options.fourier_l0_norm_image_threshold,
                                         options.fourier_l0_norm_fourier_radius, parallel_for);
  cost.cost =
      cost.entropy + options.fourier_l0_norm_cost_coef *
                         std::max(cost.fourier_l0_norm - options.fourier_l0_norm_threshold, 0.0);
  return cost;
}

double entropy_range(const FrameStack& images, BlockView<const float> flatfield,
                     BlockView<const float> darkfield, const BasicCostOptions& options,
                     const ParallelFor& parallel_for) {
  const std::vector<double> ends =
      CorrectedFrames(images, flatfield, darkfield)
          .quantiles({options.histogram_qmin, options.histogram_qmax}, parallel_for);
  return (ends[1] - ends[0] * options.vmin_factor) * options.vrange_factor;
}

}  // namespace flatfield::methods
