#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flatfield/core/bit_volume.h"

namespace flatfield::pipeline {

/// A mask that waits in memory for other channels, compressed: a hundredth of its bits where it is tissue in large
/// pieces, and hardly more than them in any case.
class PackedMask {
 public:
  explicit PackedMask(const BitVolume& mask);

  [[nodiscard]] BitVolume unpacked() const;
  [[nodiscard]] const Extent3& shape() const { return shape_; }
  /// Memory that it takes.
  [[nodiscard]] std::int64_t bytes() const;

 private:
  Extent3 shape_;
  std::vector<std::vector<std::byte>> parts_;
};

}  // namespace flatfield::pipeline
