#pragma once

#include <cstdint>
#include <span>

#include "flatfield/core/parallel.h"
#include "flatfield/methods/basic.h"
#include "flatfield/methods/frame_stack.h"

namespace flatfield::methods {

/// What becomes of the brightness of each frame of a time lapse.
enum class Timelapse {
  kNone,            ///< (x - D) / S: kept
  kMultiplicative,  ///< (x - D) / S - B_n: subtracted
  kAdditive,        ///< x - D - S B_n: subtracted as S shapes it
};

/// Whether corrected values are limited to 0..65535, as before rounding to uint16.
enum class Clipping { kToUint16, kNone };

/// Corrects frames by a fit of frames of their shape, in float32 (docs/methods.md 8.6); `out` has as
/// many values as `images` and may be the same memory. `frame_indices` says which frame of the fit
/// each image is, for its baseline; empty = the first image is the first frame, and so on. Where
/// the flatfield is 0, a value is infinite without clipping. Throws Error(kBadInput) for another
/// shape, Error(kUsage) for a time lapse without a baseline or with indices that are not of the
/// fit.
void transform_basic(const FrameStack& images, const BasicFit& fit, Timelapse timelapse,
                     std::span<const std::int64_t> frame_indices, Clipping clipping,
                     std::span<float> out, const ParallelFor& parallel_for);

}  // namespace flatfield::methods
