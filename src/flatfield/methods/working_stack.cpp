#include "flatfield/methods/working_stack.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "flatfield/core/error.h"
#include "flatfield/numerics/float_order.h"
#include "flatfield/numerics/linear_resize.h"
#include "flatfield/numerics/mask_erosion.h"
#include "flatfield/numerics/ordered_sum.h"
#include "flatfield/numerics/otsu_threshold.h"
#include "flatfield/numerics/percentile.h"
#include "flatfield/numerics/singular_value.h"

namespace flatfield::methods {
namespace {

/// Pixels that are sorted together: one cache line of each frame.
constexpr std::int64_t kStrip = 16;
constexpr std::int64_t kStripsPerTask = 64;
constexpr std::int64_t kNarrowest = 10;

void check_input(const FrameStack& stack, const char* what, const ParallelFor& parallel_for) {
  if (stack.frames < 1 || stack.shape.empty())
    throw Error(ErrorCode::kBadInput, fmt::format("BaSiC: the {} hold no frames", what));
  std::vector<std::uint8_t> finite(static_cast<std::size_t>(stack.frames));
  parallel_for(stack.frames, [&](std::int64_t n) {
    const auto values = stack.frame(n).span();
    finite[static_cast<std::size_t>(n)] =
        std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }) ? 1 : 0;
  });
  const auto bad = std::find(finite.begin(), finite.end(), 0);
  if (bad != finite.end())
    throw Error(ErrorCode::kBadInput,
                fmt::format("BaSiC: frame {} of the {} holds a value that is not finite",
                            bad - finite.begin(), what));
}

Block<float> resized(const FrameStack& stack, const Extent3& shape, const BasicOptions& options,
                     const ParallelFor& parallel_for) {
  Block<float> out({1, stack.frames, shape.volume()});
  parallel_for(stack.frames * shape.z, [&](std::int64_t plane) {
    const BlockView<const float> source(stack.data + plane * stack.shape.y * stack.shape.x,
                                        {1, stack.shape.y, stack.shape.x});
    const BlockView<float> to(out.data() + plane * shape.y * shape.x, {1, shape.y, shape.x});
    if (source.shape == to.shape) return copy_block(source, to);
    const Block<float> small =
        numerics::resize_linear(source, shape.y, shape.x, options.resize_mode, serial_for);
    copy_block<float>(small.view(), to);
  });
  return out;
}

/// (w - min) / (max - min) over the whole stack; false if all are equal.
bool normalise(Block<float>& weights, const ParallelFor& parallel_for) {
  const auto [low, high] = std::minmax_element(weights.span().begin(), weights.span().end());
  const float lowest = *low;
  const float range = *high - lowest;
  if (range == 0.0F) return false;
  parallel_for(weights.shape().y, [&](std::int64_t n) {
    float* row = weights.view().row(0, n);
    for (std::int64_t i = 0; i < weights.shape().x; ++i) row[i] = (row[i] - lowest) / range;
  });
  return true;
}

/// Weights 0 where the segmentation of BaSiCPy leaves a pixel out.
void segment(WorkingStack& stack, std::int64_t margin, const ParallelFor& parallel_for) {
  if (!stack.weights) stack.weights.emplace(stack.images.shape(), 1.0F);
  const float threshold = numerics::otsu_threshold(stack.images.span());
  parallel_for(stack.frames, [&](std::int64_t n) {
    const float* values = stack.images.view().row(0, n);
    float* weights = stack.weights->view().row(0, n);
    Block<std::uint8_t> dark(stack.shape);
    for (std::int64_t i = 0; i < stack.pixels; ++i) dark.data()[i] = values[i] < threshold ? 1 : 0;
    const BitVolume kept = numerics::erode_by_ball(BitVolume(dark.view()).view(), margin, serial_for,
                                                   numerics::BeyondBorder::kForeground);
    for (std::int64_t z = 0; z < stack.shape.z; ++z)
      for (std::int64_t y = 0; y < stack.shape.y; ++y)
        for (std::int64_t x = 0; x < stack.shape.x; ++x, ++weights)
          if (!kept.at(z, y, x)) *weights = 0.0F;
  });
}

/// Sorts the columns [begin, end) by value, then by frame.
void sort_columns(WorkingStack& stack, std::int64_t begin, std::int64_t end) {
  const auto frames = static_cast<std::size_t>(stack.frames);
  const auto count = static_cast<std::size_t>(end - begin);
  std::vector<std::uint64_t> keys(frames * count);
  std::vector<float> weights(stack.weights ? frames * count : 0);
  for (std::size_t n = 0; n < frames; ++n) {
    const float* values = stack.images.view().row(0, static_cast<std::int64_t>(n)) + begin;
    for (std::size_t i = 0; i < count; ++i)
      keys[i * frames + n] = std::uint64_t{numerics::ordered_bits_of_value(values[i])} << 32 | n;
    if (stack.weights)
      std::copy_n(stack.weights->view().row(0, static_cast<std::int64_t>(n)) + begin, count,
                  weights.data() + n * count);
  }
  for (std::size_t i = 0; i < count; ++i)
    std::sort(keys.data() + i * frames, keys.data() + (i + 1) * frames);
  for (std::size_t n = 0; n < frames; ++n) {
    float* values = stack.images.view().row(0, static_cast<std::int64_t>(n)) + begin;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t key = keys[i * frames + n];
      values[i] = numerics::from_ordered_bits(static_cast<std::uint32_t>(key >> 32));
      if (stack.weights)
        stack.weights->at(0, static_cast<std::int64_t>(n), begin + static_cast<std::int64_t>(i)) =
            weights[(key & 0xFFFFFFFFU) * count + i];
    }
  }
}

/// Calls body(begin, end) for strips of at most kStrip pixels.
template <class Body>
void for_each_strip(std::int64_t pixels, const ParallelFor& parallel_for, Body body) {
  const std::int64_t strips = ceil_div(pixels, kStrip);
  parallel_for(ceil_div(strips, kStripsPerTask), [&](std::int64_t task) {
    for (std::int64_t strip = task * kStripsPerTask;
         strip < std::min(strips, (task + 1) * kStripsPerTask); ++strip)
      body(strip * kStrip, std::min(pixels, (strip + 1) * kStrip));
  });
}

}  // namespace

Extent3 working_shape(const Extent3& frame, const BasicOptions& options) {
  if (!options.working_size) return frame;
  return {frame.z, options.working_size->y, options.working_size->x};
}

WorkingStack make_working_stack(const FrameStack& images, const std::optional<FrameStack>& weights,
                                const BasicOptions& options, FrameOrder order,
                                const ParallelFor& parallel_for) {
  check_input(images, "images", parallel_for);
  WorkingStack stack;
  stack.frames = images.frames;
  stack.shape = working_shape(images.shape, options);
  stack.pixels = stack.shape.volume();
  if (images.shape.x < kNarrowest)
    stack.warnings.push_back(
        fmt::format("BaSiC: frames of {} pixels along x are too narrow to fit", images.shape.x));
  if (weights) {
    if (weights->frames != images.frames || weights->shape != images.shape)
      throw Error(
          ErrorCode::kBadInput,
          fmt::format("BaSiC: expected weights for {} frames of {}, found {} of {}", images.frames,
                      to_string(images.shape), weights->frames, to_string(weights->shape)));
    check_input(*weights, "weights", parallel_for);
    stack.weights = resized(*weights, stack.shape, options, parallel_for);
    if (!normalise(*stack.weights, parallel_for)) {
      stack.weights.reset();
      stack.warnings.emplace_back("BaSiC: the weights are all the same and count as ones");
    }
  }
  stack.images = resized(images, stack.shape, options, parallel_for);
  if (options.autosegment) segment(stack, options.autosegment_margin, parallel_for);
  if (order == FrameOrder::kSortedPerPixel)
    for_each_strip(stack.pixels, parallel_for,
                   [&](std::int64_t begin, std::int64_t end) { sort_columns(stack, begin, end); });
  return stack;
}

StackStatistics measure_stack(const WorkingStack& stack, const ParallelFor& parallel_for) {
  StackStatistics out;
  out.median.resize(static_cast<std::size_t>(stack.pixels));
  out.sum.resize(static_cast<std::size_t>(stack.pixels));
  const BlockView<const float> images = stack.images.view();
  for_each_strip(stack.pixels, parallel_for, [&](std::int64_t begin, std::int64_t end) {
    const auto count = static_cast<std::size_t>(end - begin);
    const auto frames = static_cast<std::size_t>(stack.frames);
    std::vector<float> columns(count * frames);
    for (std::size_t n = 0; n < frames; ++n)
      for (std::size_t i = 0; i < count; ++i)
        columns[i * frames + n] =
            images.row(0, static_cast<std::int64_t>(n))[begin + static_cast<std::int64_t>(i)];
    for (std::size_t i = 0; i < count; ++i) {
      const std::span<float> column(columns.data() + i * frames, frames);
      double sum = 0.0;
      for (const float value : column) sum += value;
      const auto pixel = static_cast<std::size_t>(begin) + i;
      out.sum[pixel] = sum;
      out.median[pixel] = numerics::median(column);
    }
  });

  struct Part {
    double squares = 0.0;
    float minimum = std::numeric_limits<float>::infinity();
  };
  double squares = 0.0;
  out.minimum = std::numeric_limits<double>::infinity();
  const auto parts =
      numerics::ordered_parts(stack.frames, 1, parallel_for, [&](std::int64_t n, std::int64_t) {
        Part part;
        const float* row = images.row(0, n);
        for (std::int64_t i = 0; i < stack.pixels; ++i) {
          part.squares += static_cast<double>(row[i]) * static_cast<double>(row[i]);
          part.minimum = std::min(part.minimum, row[i]);
        }
        return part;
      });
  for (const Part& part : parts) {
    squares += part.squares;
    out.minimum = std::min(out.minimum, static_cast<double>(part.minimum));
  }
  out.norm = std::sqrt(squares);
  out.singular_value = numerics::largest_singular_value(images, parallel_for);
  return out;
}

}  // namespace flatfield::methods
