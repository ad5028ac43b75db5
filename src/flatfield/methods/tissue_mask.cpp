#include "flatfield/methods/tissue_mask.h"

#include "flatfield/core/error.h"
#include "flatfield/numerics/binary_regions.h"

namespace flatfield::methods {
namespace {

constexpr int kRegionsKept = 2;

}  // namespace

void clean_mask(BitVolume& mask) {
  if (numerics::keep_largest_regions(mask, kRegionsKept) == 0)
    throw Error(ErrorCode::kBadInput, "the mask has no foreground voxel");
  numerics::fill_holes(mask);
}

void clear_where_zero(BitVolume& mask, BlockView<const float> v_low, const ParallelFor& parallel_for) {
  const Extent3 plane{1, v_low.shape.y, v_low.shape.x};
  parallel_for(v_low.shape.z, [&](std::int64_t z) {
    mask.clear_where_zero({z, 0, 0}, v_low.sub({{z, 0, 0}, plane}));
  });
}

}  // namespace flatfield::methods
