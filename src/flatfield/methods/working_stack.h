#pragma once

#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/methods/basic_options.h"
#include "flatfield/methods/frame_stack.h"

namespace flatfield::methods {

/// The frames that BaSiC works on, (1, frames, pixels), and the weights that its user gave them.
struct WorkingStack {
  std::int64_t frames = 0;
  std::int64_t pixels = 0;
  Extent3 shape;                        ///< of one frame at working size
  Block<float> images;                  ///< resized; in the FrameOrder that was asked for
  std::optional<Block<float>> weights;  ///< in the same order, 0..1; none = all ones
  std::vector<std::string> warnings;
};

/// What BaSiC needs to know about a stack before it starts (docs/methods.md 8.1 and 8.2).
struct StackStatistics {
  double norm = 0.0;            ///< Frobenius norm
  double singular_value = 0.0;  ///< the largest one of the (frames, pixels) matrix
  double minimum = 0.0;
  std::vector<double> median;  ///< of each pixel over the frames
  std::vector<double> sum;     ///< of each pixel over the frames
};

enum class FrameOrder { kAsGiven, kSortedPerPixel };

/// Shape of a frame at working size.
[[nodiscard]] Extent3 working_shape(const Extent3& frame, const BasicOptions& options);

/// Resizes images and weights to the working size, normalises the weights to 0..1 over the stack
/// (constant ones count as ones), applies the segmentation and, for FrameOrder::kSortedPerPixel, sorts
/// each pixel's values over the frames, its weights along with them (stable); options.sort_intensity is
/// not looked at. Throws Error(kBadInput) for shapes that differ, no frames, or values that are not finite.
[[nodiscard]] WorkingStack make_working_stack(const FrameStack& images,
                                              const std::optional<FrameStack>& weights,
                                              const BasicOptions& options, FrameOrder order,
                                              const ParallelFor& parallel_for);

/// Same bits for any number of threads.
[[nodiscard]] StackStatistics measure_stack(const WorkingStack& stack,
                                            const ParallelFor& parallel_for);

}  // namespace flatfield::methods
