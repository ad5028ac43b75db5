#pragma once

#include <cstdint>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::numerics {

/// skimage.transform.resize(plane, (height, width), order=3, mode="reflect", anti_aliasing=False,
/// clip=True, preserve_range=True) of a (1, y, x) plane: cubic B-spline with prefilter,
/// whole-sample reflection (d c b | a b c d | c b a), samples at pixel centres
/// ((o + 0.5) * s / S - 0.5), accumulated in double, clipped to the plane's own minimum and
/// maximum, float32. The same shape is an exact copy.
///
/// Another shape agrees with scikit-image within 1 ulp of float32; in fact every operation is scipy's, in
/// scipy's order. The plane must hold only finite values and at least one; height and width are
/// at least 1. Memory besides the result: resize_bytes, and one strip of 16 columns or rows per thread.
[[nodiscard]] Block<float> resize_plane(BlockView<const float> plane, std::int64_t height,
                                        std::int64_t width, const ParallelFor& parallel_for);

/// What resize_plane takes for a plane of this shape: 16 MiB, or an eighth of the plane where that is more.
[[nodiscard]] std::int64_t resize_bytes(const Extent3& plane);
/// resize_plane in about so many bytes: the fewer, the more often columns are filtered. The same bits.
[[nodiscard]] Block<float> resize_plane_within(std::int64_t bytes, BlockView<const float> plane, std::int64_t height,
                                               std::int64_t width, const ParallelFor& parallel_for);

/// A plane at a size: itself where it has that, without a copy, and else resized. The plane must outlive it.
class PlaneOfSize {
 public:
  PlaneOfSize(BlockView<const float> plane, std::int64_t height, std::int64_t width, const ParallelFor& parallel_for);
  [[nodiscard]] const BlockView<const float>& view() const { return view_; }

 private:
  Block<float> resized_;
  BlockView<const float> view_;
};

}  // namespace flatfield::numerics
