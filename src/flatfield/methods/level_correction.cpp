#include "flatfield/methods/level_correction.h"

#include <algorithm>
#include <array>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::methods {
namespace {

constexpr float kLargest = 65535.0F;

/// v clipped to what can be written; 0 for what is no number (0 times the reciprocal of a curve of
/// 0).
float writable(float v) { return std::min(std::max(0.0F, v), kLargest); }

/// 1/c along each axis (z, y, x) at the level's length; ones for an axis that is not corrected.
std::array<std::vector<float>, 3> level_gains(const AxisFit& fit, const Extent3& shape) {
  std::array<std::vector<float>, 3> gains;
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<float>& gain = gains[static_cast<std::size_t>(axis)];
    gain = evaluate_curve(fit.axes[static_cast<std::size_t>(axis)], shape[axis]);
    for (float& c : gain) c = 1.0F / c;
    if (gain.empty()) gain.assign(static_cast<std::size_t>(shape[axis]), 1.0F);
  }
  return gains;
}

}  // namespace

LevelCorrection::LevelCorrection(const Correction& correction, const std::optional<AxisFit>& fit,
                                 const Extent3& shape, const ParallelFor& parallel_for)
    : correction_(correction) {
  if (correction.image) {
    flatfield_.emplace(correction.image->flatfield.view(), shape.y, shape.x, parallel_for);
    if (correction.image->darkfield)
      darkfield_.emplace(correction.image->darkfield->view(), shape.y, shape.x, parallel_for);
    return;
  }
  if (!correction.curves) return;
  if (!fit || !correction.mask || correction.mask->shape() != shape)
    throw Error(ErrorCode::kInternal, "LevelCorrection: curves need a fit and a mask of the level");
  gains_ = level_gains(*fit, shape);
}

void LevelCorrection::apply(const Box3& box, BlockView<float> v_low) const {
  if (flatfield_)
    apply_image(box, v_low);
  else if (correction_.curves)
    apply_curves(box, v_low);
}

void LevelCorrection::apply_curves(const Box3& box, BlockView<float> v_low) const {
  const BitView mask = correction_.mask->view().sub(box);
  const float ratio = correction_.curves->ratio;
  const float* gain_x = gains_[2].data() + box.origin.x;
  for (std::int64_t z = 0; z < box.shape.z; ++z)
    for (std::int64_t y = 0; y < box.shape.y; ++y) {
      float* row = v_low.row(z, y);
      const BitRow inside = mask.row(z, y);
      const float along_y = gains_[1][static_cast<std::size_t>(box.origin.y + y)];
      const float along_z = gains_[0][static_cast<std::size_t>(box.origin.z + z)];
      const auto gained = [&](std::int64_t x) {
        return writable(((row[x] * gain_x[x]) * along_y) * along_z * ratio);
      };
      // Most stretches lie inside or outside as a whole.
      for (std::int64_t first = 0; first < box.shape.x; first += 64) {
        const std::int64_t count = std::min<std::int64_t>(64, box.shape.x - first);
        const std::uint64_t bits = inside.bits(first, count);
        if (bits == 0) continue;
        std::array<float, 64> after;
        for (std::int64_t x = 0; x < count; ++x) after[static_cast<std::size_t>(x)] = gained(first + x);
        if (bits == low_bits(count)) {
          std::copy_n(after.data(), count, row + first);
          continue;
        }
        for (std::int64_t x = 0; x < count; ++x)
          row[first + x] = ((bits >> x) & 1) != 0 ? after[static_cast<std::size_t>(x)] : row[first + x];
      }
    }
}

void LevelCorrection::apply_image(const Box3& box, BlockView<float> v_low) const {
  for (std::int64_t z = 0; z < box.shape.z; ++z)
    for (std::int64_t y = 0; y < box.shape.y; ++y) {
      float* row = v_low.row(z, y);
      const float* f = flatfield_->view().row(0, box.origin.y + y) + box.origin.x;
      if (!darkfield_) {
        for (std::int64_t x = 0; x < box.shape.x; ++x) row[x] = writable(row[x] / f[x]);
        continue;
      }
      const float* d = darkfield_->view().row(0, box.origin.y + y) + box.origin.x;
      for (std::int64_t x = 0; x < box.shape.x; ++x) row[x] = writable((row[x] - d[x]) / f[x]);
    }
}

}  // namespace flatfield::methods
