#include "flatfield/methods/basic_sweeps.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "flatfield/methods/pixel_vectors.h"
#include "flatfield/numerics/double_pair.h"
#include "flatfield/numerics/ordered_sum.h"

namespace flatfield::methods {
namespace {

using numerics::DoublePair;
using numerics::for_each_pair;

/// Pixels of a block: its sums and its part of the model stay in the first-level cache.
constexpr std::int64_t kBlock = 1024;
constexpr std::int64_t kLanes = 4;

/// A sum in four parts, so that the loop around it can be vectorised. More of them would not fit
/// into the registers.
struct LaneSum {
  std::array<double, kLanes> part{};

  [[nodiscard]] double total() const { return (part[0] + part[1]) + (part[2] + part[3]); }
};

/// Calls step(i, lane) for each i in [0, count), four in a row at a time.
template <class Step>
inline void for_lanes(std::int64_t count, Step step) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      step(i + lane, static_cast<std::size_t>(lane));
  for (std::int64_t lane = 0; i < count; ++i, ++lane) step(i, static_cast<std::size_t>(lane));
}

/// One block of pixels of one frame.
struct Rows {
  const float* images;
  float* explained;
  float* multiplier;
  const float* weights;
};
Rows rows_of(BasicArrays& arrays, std::int64_t n, std::int64_t begin) {
  const std::int64_t at = n * arrays.pixels() + begin;
  return {arrays.images.data() + at, arrays.explained.data() + at, arrays.multiplier.data() + at,
          arrays.weights.data() + at};
}

/// The part of a model in one block of pixels.
struct ModelBlock {
  const double* flatfield;
  const double* darkfield;
};
ModelBlock block_of(const BasicModel& model, std::int64_t begin) {
  return {model.flatfield.data() + begin, model.darkfield.data() + begin};
}

double baseline_of(const BasicModel& model, std::int64_t n) {
  return model.baseline[static_cast<std::size_t>(n)];
}

/// I_B of the pixels that `access` reads at i.
template <class Access>
inline DoublePair modelled(ModelBlock model, DoublePair baseline, std::int64_t i, Access access) {
  return baseline * access.load(model.flatfield + i) + access.load(model.darkfield + i);
}

template <class Access>
inline void add_to(double* sums, DoublePair value, Access access) {
  access.store(access.load(sums) + value, sums);
}

struct FrameShrinkSums {
  double change_squared;
  double projection;
};

template <bool kPixelSums>
FrameShrinkSums shrink_row(Rows rows, ModelBlock model, double baseline, double inverse_mu,
                           double threshold, std::int64_t count, double* explained_sum,
                           double* multiplier_sum) {
  DoublePair change = 0.0;
  DoublePair projection = 0.0;
  for_each_pair(count, [&](std::int64_t i, auto access) {
    const DoublePair image = access.load(rows.images + i);
    const DoublePair multiplier = access.load(rows.multiplier + i);
    const DoublePair pull = multiplier * inverse_mu;
    const DoublePair residual = shrink(image - modelled(model, baseline, i, access) + pull,
                                       access.load(rows.weights + i) * threshold);
    const DoublePair explained = image - residual;
    const DoublePair difference = explained - access.load(rows.explained + i);
    access.store(explained, rows.explained + i);
    change += difference * difference;
    projection += access.load(model.flatfield + i) * (explained + pull);
    if constexpr (kPixelSums) {
      add_to(explained_sum + i, explained, access);
      add_to(multiplier_sum + i, multiplier, access);
    }
  });
  return {change.sum(), projection.sum()};
}

template <bool kGradient>
double update_row(Rows rows, ModelBlock model, double baseline, double mu, double inverse_next_mu,
                  std::int64_t count, double* gradient) {
  DoublePair misfit_squared = 0.0;
  for_each_pair(count, [&](std::int64_t i, auto access) {
    const DoublePair misfit =
        access.load(rows.explained + i) - modelled(model, baseline, i, access);
    const DoublePair multiplier = access.load(rows.multiplier + i) + misfit * mu;
    access.store(multiplier, rows.multiplier + i);
    misfit_squared += misfit * misfit;
    if constexpr (kGradient)
      add_to(gradient + i, (misfit + multiplier * inverse_next_mu) * baseline, access);
  });
  return misfit_squared.sum();
}

struct FrameApproximateSums {
  double misfit_squared;
  double explained;
};

FrameApproximateSums shrink_and_update_row(Rows rows, ModelBlock model, double baseline, double mu,
                                           double threshold, std::int64_t count,
                                           double* explained_sum, double* multiplier_sum) {
  DoublePair misfit_squared = 0.0;
  DoublePair frame_sum = 0.0;
  const double inverse_mu = 1.0 / mu;
  for_each_pair(count, [&](std::int64_t i, auto access) {
    const DoublePair image = access.load(rows.images + i);
    const DoublePair before = access.load(rows.multiplier + i);
    const DoublePair model_value = modelled(model, baseline, i, access);
    const DoublePair residual = shrink(image - model_value + before * inverse_mu,
                                       access.load(rows.weights + i) * threshold);
    const DoublePair explained = image - residual;
    const DoublePair misfit = explained - model_value;
    const DoublePair multiplier = before + misfit * mu;
    access.store(explained, rows.explained + i);
    access.store(multiplier, rows.multiplier + i);
    misfit_squared += misfit * misfit;
    frame_sum += explained;
    add_to(explained_sum + i, explained, access);
    add_to(multiplier_sum + i, multiplier, access);
  });
  return {misfit_squared.sum(), frame_sum.sum()};
}

std::vector<double> zeros(std::int64_t count) {
  return std::vector<double>(static_cast<std::size_t>(count), 0.0);
}

/// One value per block and frame.
class BlockFrameSums {
 public:
  explicit BlockFrameSums(const BasicArrays& arrays)
      : frames_(arrays.frames()), values_(zeros(ceil_div(arrays.pixels(), kBlock) * frames_)) {}

  double& at(std::int64_t begin, std::int64_t n) {
    return values_[static_cast<std::size_t>(begin / kBlock * frames_ + n)];
  }
  /// Of each frame, over the blocks in order.
  [[nodiscard]] std::vector<double> totals() const {
    std::vector<double> out = zeros(frames_);
    for (std::size_t i = 0; i < values_.size(); ++i) out[i % out.size()] += values_[i];
    return out;
  }

 private:
  std::int64_t frames_;
  std::vector<double> values_;
};

/// The sum of part(begin, end) over the blocks of pixels.
template <class Part>
double sum_of_blocks(const BasicArrays& arrays, const ParallelFor& parallel_for, Part part) {
  return numerics::ordered_sum(arrays.pixels(), kBlock, parallel_for, part);
}

template <class Part>
void for_each_block(const BasicArrays& arrays, const ParallelFor& parallel_for, Part part) {
  parallel_for(ceil_div(arrays.pixels(), kBlock), [&](std::int64_t block) {
    part(block * kBlock, std::min(arrays.pixels(), (block + 1) * kBlock));
  });
}

}  // namespace

ShrinkSums shrink_residual(BasicArrays& arrays, const BasicModel& model, double mu,
                           double threshold, bool with_pixel_sums,
                           const ParallelFor& parallel_for) {
  ShrinkSums sums;
  if (with_pixel_sums) {
    sums.explained = zeros(arrays.pixels());
    sums.multiplier = zeros(arrays.pixels());
  }
  BlockFrameSums projections(arrays);
  const double scaled_threshold = threshold * arrays.weight_factor;
  const auto row = with_pixel_sums ? shrink_row<true> : shrink_row<false>;
  sums.change_squared =
      sum_of_blocks(arrays, parallel_for, [&](std::int64_t begin, std::int64_t end) {
        double* const explained = with_pixel_sums ? sums.explained.data() + begin : nullptr;
        double* const multiplier = with_pixel_sums ? sums.multiplier.data() + begin : nullptr;
        double change = 0.0;
        for (std::int64_t n = 0; n < arrays.frames(); ++n) {
          const FrameShrinkSums frame =
              row(rows_of(arrays, n, begin), block_of(model, begin), baseline_of(model, n),
                  1.0 / mu, scaled_threshold, end - begin, explained, multiplier);
          change += frame.change_squared;
          projections.at(begin, n) = frame.projection;
        }
        return change;
      });
  sums.projections = projections.totals();
  return sums;
}

MultiplierSums update_multiplier(BasicArrays& arrays, const BasicModel& model, double mu,
                                 double next_mu, bool with_gradient,
                                 const ParallelFor& parallel_for) {
  MultiplierSums sums;
  if (with_gradient) sums.gradient = zeros(arrays.pixels());
  const auto row = with_gradient ? update_row<true> : update_row<false>;
  sums.misfit_squared =
      sum_of_blocks(arrays, parallel_for, [&](std::int64_t begin, std::int64_t end) {
        double* const gradient = with_gradient ? sums.gradient.data() + begin : nullptr;
        double misfit_squared = 0.0;
        for (std::int64_t n = 0; n < arrays.frames(); ++n)
          misfit_squared += row(rows_of(arrays, n, begin), block_of(model, begin),
                                baseline_of(model, n), mu, 1.0 / next_mu, end - begin, gradient);
        return misfit_squared;
      });
  return sums;
}

ApproximateSums shrink_and_update(BasicArrays& arrays, const BasicModel& model, double mu,
                                  double threshold, const ParallelFor& parallel_for) {
  ApproximateSums sums;
  sums.explained = zeros(arrays.pixels());
  sums.multiplier = zeros(arrays.pixels());
  BlockFrameSums frame_sums(arrays);
  const double scaled_threshold = threshold * arrays.weight_factor;
  sums.misfit_squared =
      sum_of_blocks(arrays, parallel_for, [&](std::int64_t begin, std::int64_t end) {
        double misfit_squared = 0.0;
        for (std::int64_t n = 0; n < arrays.frames(); ++n) {
          const FrameApproximateSums frame =
              shrink_and_update_row(rows_of(arrays, n, begin), block_of(model, begin),
                                    baseline_of(model, n), mu, scaled_threshold, end - begin,
                                    sums.explained.data() + begin, sums.multiplier.data() + begin);
          misfit_squared += frame.misfit_squared;
          frame_sums.at(begin, n) = frame.explained;
        }
        return misfit_squared;
      });
  sums.frame_sums = frame_sums.totals();
  return sums;
}

std::vector<double> sum_of_frames(const BasicArrays& arrays, std::span<const std::uint8_t> chosen,
                                  const ParallelFor& parallel_for) {
  std::vector<double> sums = zeros(arrays.pixels());
  for_each_block(arrays, parallel_for, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < arrays.frames(); ++n) {
      if (chosen[static_cast<std::size_t>(n)] == 0) continue;
      const float* row = arrays.explained.view().row(0, n);
      for (std::int64_t i = begin; i < end; ++i)
        sums[static_cast<std::size_t>(i)] += static_cast<double>(row[i]);
    }
  });
  return sums;
}

std::vector<double> sum_of_pixels(const BasicArrays& arrays, std::span<const std::uint8_t> chosen,
                                  const ParallelFor& parallel_for) {
  BlockFrameSums sums(arrays);
  for_each_block(arrays, parallel_for, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < arrays.frames(); ++n) {
      const float* row = arrays.explained.view().row(0, n) + begin;
      const std::uint8_t* choice = chosen.data() + begin;
      LaneSum sum;
      for_lanes(end - begin, [&](std::int64_t i, std::size_t lane) {
        sum.part[lane] += choice[i] != 0 ? static_cast<double>(row[i]) : 0.0;
      });
      sums.at(begin, n) = sum.total();
    }
  });
  return sums.totals();
}

namespace {

/// Writes the weights of one frame in a block, times `base`; returns the sum before that product.
template <class Ratio>
double weigh_row(Rows rows, float* weights, const float* base, double epsilon, std::int64_t count,
                 Ratio ratio) {
  LaneSum sum;
  for_lanes(count, [&](std::int64_t i, std::size_t lane) {
    const double residual =
        static_cast<double>(rows.images[i]) - static_cast<double>(rows.explained[i]);
    const double weight = 1.0 / (std::abs(ratio(i, residual)) + epsilon);
    sum.part[lane] += weight;
    weights[i] =
        static_cast<float>(base == nullptr ? weight : weight * static_cast<double>(base[i]));
  });
  return sum.total();
}

}  // namespace

void reweight(BasicArrays& arrays, const BasicModel& model, Reweighting form, double epsilon,
              const Block<float>* base, const ParallelFor& parallel_for) {
  constexpr double kTiny = 1e-6;
  const double mean_flatfield = mean_of(model.flatfield);
  const double mean_darkfield = mean_of(model.darkfield);
  const double sum = sum_of_blocks(arrays, parallel_for, [&](std::int64_t begin, std::int64_t end) {
    double block_sum = 0.0;
    const ModelBlock block = block_of(model, begin);
    for (std::int64_t n = 0; n < arrays.frames(); ++n) {
      const double b = baseline_of(model, n);
      const double mean_model = b * mean_flatfield + mean_darkfield;
      const auto weigh = [&](auto ratio) {
        float* const weights = arrays.weights.view().row(0, n) + begin;
        const float* const factors = base == nullptr ? nullptr : base->view().row(0, n) + begin;
        return weigh_row(rows_of(arrays, n, begin), weights, factors, epsilon, end - begin, ratio);
      };
      switch (form) {
        case Reweighting::kLadmap:
          block_sum += weigh([&](std::int64_t i, double residual) {
            return residual / (b * block.flatfield[i] + block.darkfield[i] + epsilon);
          });
          break;
        case Reweighting::kApproximate:
          block_sum +=
              weigh([&](std::int64_t, double residual) { return residual / (mean_model + kTiny); });
          break;
        case Reweighting::kApproximateBaseline:
          block_sum +=
              weigh([&](std::int64_t, double residual) { return mean_model / (residual + kTiny); });
          break;
      }
    }
    return block_sum;
  });
  const double count = static_cast<double>(arrays.frames()) * static_cast<double>(arrays.pixels());
  arrays.weight_factor = count / sum;
}

void restart(BasicArrays& arrays, const ParallelFor& parallel_for) {
  parallel_for(arrays.frames(), [&](std::int64_t n) {
    std::copy_n(arrays.images.view().row(0, n), arrays.pixels(), arrays.explained.view().row(0, n));
    std::fill_n(arrays.multiplier.view().row(0, n), arrays.pixels(), 0.0F);
  });
}

}  // namespace flatfield::methods
