#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/core/bit_volume.h"

namespace flatfield::methods {

/// A foreground mask that a fit sees, of which some planes may be left out. The mask must outlive it.
class FitMask {
 public:
  /// `without`: z indices, ascending.
  explicit FitMask(BitView mask, std::vector<std::int64_t> without = {})
      : mask_(mask), without_(std::move(without)) {}

  [[nodiscard]] const Extent3& shape() const { return mask_.shape; }
  [[nodiscard]] std::int64_t count() const;
  /// Voxels in each plane along an axis.
  [[nodiscard]] std::vector<std::int64_t> plane_counts(int axis) const;
  /// Whether a box may hold voxels: true if it does, false if not even the planes that are left out have any there.
  [[nodiscard]] bool may_hold(const Box3& box) const { return mask_.sub(box).any(); }
  /// The voxels of a box as 0 and 1; `out` has its shape.
  void expand(const Box3& box, BlockView<std::uint8_t> out) const;

 private:
  [[nodiscard]] bool leaves_out(std::int64_t z) const;

  BitView mask_;
  std::vector<std::int64_t> without_;
};

}  // namespace flatfield::methods
