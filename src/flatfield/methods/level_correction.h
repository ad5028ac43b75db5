#pragma once

#include <array>
#include <optional>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/methods/axis_fit.h"
#include "flatfield/methods/correction.h"
#include "flatfield/numerics/spline_resize.h"

namespace flatfield::methods {

/// What the correction makes of a background-subtracted level `v_low` (z, y, x) of the volume: what
/// quality "after" is measured on. Float32, not rounded, clipped to [0, 65535].
///
/// Curves: inside the mask (of the level's shape) the product of `v_low` with the reciprocals of
/// the curves of `fit`, evaluated at the level's own length, and with the ratio. An image
/// flatfield: (v_low - D) / F with F and D resized to the level (numerics::resize_plane). Neither:
/// nothing is done.
class LevelCorrection {
 public:
  /// The correction must outlive it. Throws Error(kInternal) for curves without a fit, or a mask of another
  /// shape.
  LevelCorrection(const Correction& correction, const std::optional<AxisFit>& fit, const Extent3& shape,
                  const ParallelFor& parallel_for);

  /// Corrects the voxels of a box of the level, in place. From several threads.
  void apply(const Box3& box, BlockView<float> v_low) const;

 private:
  void apply_curves(const Box3& box, BlockView<float> v_low) const;
  void apply_image(const Box3& box, BlockView<float> v_low) const;

  const Correction& correction_;
  std::array<std::vector<float>, 3> gains_;  ///< 1/c along z, y, x
  std::optional<numerics::PlaneOfSize> flatfield_;
  std::optional<numerics::PlaneOfSize> darkfield_;
};

}  // namespace flatfield::methods
