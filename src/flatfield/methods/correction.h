#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"

namespace flatfield::methods {

/// What the fitting method learns about the illumination of a volume: one curve per axis,
/// applied inside the foreground mask (docs/methods.md 4.7).
struct AxisCurves {
  /// One value per voxel of the volume along z, y, x; empty = this axis is not corrected.
  std::vector<float> z, y, x;
  float ratio = 1.0F;  ///< global_factor / g, clamped
};

/// Illumination that is the same in every plane, as an image (docs/methods.md 2 and 3):
/// out = (v - darkfield) / flatfield.
struct ImageFlatfield {
  Block<float> flatfield;                 ///< (1, y, x) of the volume, finite and greater than 0
  std::optional<Block<float>> darkfield;  ///< (1, y, x), counts; none = 0
};

/// Everything that the correction of one volume needs, learnt before its voxels are streamed.
struct Correction {
  Extent3 shape;                         ///< of the volume that is corrected
  std::optional<Block<float>> background;  ///< (1, y, x), subtracted first; none = nothing is subtracted
  /// Foreground 0/1 at the estimation level, resized to the volume when it is applied; none where the
  /// method needs none.
  std::optional<BitVolume> mask;
  /// Applied inside the mask, so there are none without it.
  std::optional<AxisCurves> curves;
  /// Applied everywhere. At most one of `curves` and `image` is there; neither = background subtraction only.
  std::optional<ImageFlatfield> image;
};

/// A Correction prepared for streaming: `apply` is the only kernel that sees full-size data.
/// Immutable: one kernel serves all threads.
class CorrectionKernel {
 public:
  /// The correction must outlive the kernel. Throws Error(kInternal) where its parts do not fit its shape.
  explicit CorrectionKernel(const Correction& correction);

  /// Reusable memory of one thread.
  struct Scratch {
    std::vector<std::uint32_t> mask_rows;
    std::vector<std::uint8_t> row_kinds;
  };

  /// Corrects the voxels of `box` (of the volume): background subtraction max(raw - B, 0); inside the
  /// mask ((v * 1/cx) * 1/cy) * 1/cz * ratio, each a float32 product from left to right, or everywhere
  /// (v - darkfield) / flatfield; clipped to [0, 65535], rounded half to even. `raw` and `out`
  /// have the shape of `box`, and may be the same voxels. T is uint8 or uint16.
  template <class T>
  void apply(const Box3& box, BlockView<const T> raw, BlockView<std::uint16_t> out,
             Scratch& scratch) const;

  /// The mask of `box`, resized to the volume (nearest neighbour), 0/1. The correction must have a mask.
  void upscale_mask(const Box3& box, BlockView<std::uint8_t> out) const;

 private:
  void check_parts() const;
  void expand_mask(const Box3& box, Scratch& scratch) const;
  template <class T>
  void apply_curves(const Box3& box, BlockView<const T> raw, BlockView<std::uint16_t> out,
                    Scratch& scratch) const;
  /// A row of a plane (1, y, x) from the box on; zeros where there is no plane.
  [[nodiscard]] const float* plane_row(const std::optional<Block<float>>& plane, std::int64_t y,
                                       std::int64_t x) const {
    return plane ? plane->view().row(0, y) + x : zeros_.data() + x;
  }

  const Correction* correction_;
  std::vector<float> zeros_;
  std::vector<float> reciprocal_z_, reciprocal_y_, reciprocal_x_;
  std::vector<std::int64_t> mask_z_, mask_y_, mask_x_;
};

extern template void CorrectionKernel::apply(const Box3&, BlockView<const std::uint8_t>,
                                             BlockView<std::uint16_t>, Scratch&) const;
extern template void CorrectionKernel::apply(const Box3&, BlockView<const std::uint16_t>,
                                             BlockView<std::uint16_t>, Scratch&) const;

}  // namespace flatfield::methods
