#pragma once

#include <cstdint>

#include "flatfield/core/block.h"
#include "flatfield/core/error.h"

namespace flatfield::methods {

/// Borrowed frames of one shape, one after the other: (frames, z, y, x) in C order.
struct FrameStack {
  const float* data = nullptr;
  std::int64_t frames = 0;
  Extent3 shape;  ///< of one frame; z = 1 for planes

  FrameStack() = default;
  FrameStack(const float* first, std::int64_t frame_count, const Extent3& frame_shape)
      : data(first), frames(frame_count), shape(frame_shape) {}
  /// The planes of a contiguous volume as frames. Throws Error(kInternal) if it is not contiguous.
  explicit FrameStack(BlockView<const float> planes)
      : data(planes.data), frames(planes.shape.z), shape{1, planes.shape.y, planes.shape.x} {
    if (!planes.contiguous())
      throw Error(ErrorCode::kInternal, "FrameStack: the planes are not contiguous");
  }

  [[nodiscard]] BlockView<const float> frame(std::int64_t n) const {
    return {data + n * shape.volume(), shape};
  }
  [[nodiscard]] std::int64_t size() const { return frames * shape.volume(); }
};

}  // namespace flatfield::methods
