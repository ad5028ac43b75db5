#include "flatfield/methods/level_correction.h"

#include <algorithm>
#include <array>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/spline_resize.h"

namespace flatfield::methods {
namespace {

constexpr float kLargest = 65535.0F;

/// v clipped to what can be written; 0 for what is no number (0 times the reciprocal of a curve of
/// 0).
float writable(float v) { return std::min(std::max(0.0F, v), kLargest); }

/// Calls `correct(z, y, row)` for each row of a copy of `v_low`.
template <class Correct>
Block<float> corrected_rows(BlockView<const float> v_low, const ParallelFor& parallel_for,
                            Correct correct) {
  Block<float> out(v_low.shape);
  parallel_for(v_low.shape.z, [&](std::int64_t z) {
    for (std::int64_t y = 0; y < v_low.shape.y; ++y) {
      float* row = out.view().row(z, y);
      std::copy_n(v_low.row(z, y), v_low.shape.x, row);
      correct(z, y, row);
    }
  });
  return out;
}

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

Block<float> corrected_by_curves(const Correction& correction, const AxisFit& fit,
                                 BlockView<const float> v_low, const ParallelFor& parallel_for) {
  const BitView mask = correction.mask->view();
  const std::array<std::vector<float>, 3> gains = level_gains(fit, v_low.shape);
  const std::vector<float>& gain_x = gains[2];
  const float ratio = correction.curves->ratio;
  return corrected_rows(v_low, parallel_for, [&](std::int64_t z, std::int64_t y, float* row) {
    const BitRow inside = mask.row(z, y);
    const float along_y = gains[1][static_cast<std::size_t>(y)];
    const float along_z = gains[0][static_cast<std::size_t>(z)];
    for (std::int64_t x = 0; x < v_low.shape.x; ++x) {
      if (!inside[x]) continue;
      const float v = ((row[x] * gain_x[static_cast<std::size_t>(x)]) * along_y) * along_z * ratio;
      row[x] = writable(v);
    }
  });
}

Block<float> corrected_by_image(const ImageFlatfield& image, BlockView<const float> v_low,
                                const ParallelFor& parallel_for) {
  const auto to_level = [&](const Block<float>& plane) {
    return numerics::resize_plane(plane.view(), v_low.shape.y, v_low.shape.x, parallel_for);
  };
  const Block<float> flatfield = to_level(image.flatfield);
  const Block<float> darkfield =
      image.darkfield ? to_level(*image.darkfield) : Block<float>(flatfield.shape(), 0.0F);
  return corrected_rows(v_low, parallel_for, [&](std::int64_t, std::int64_t y, float* row) {
    const float* f = flatfield.view().row(0, y);
    const float* d = darkfield.view().row(0, y);
    for (std::int64_t x = 0; x < v_low.shape.x; ++x) row[x] = writable((row[x] - d[x]) / f[x]);
  });
}

}  // namespace

Block<float> corrected_level(const Correction& correction, const std::optional<AxisFit>& fit,
                             BlockView<const float> v_low, const ParallelFor& parallel_for) {
  if (correction.image) return corrected_by_image(*correction.image, v_low, parallel_for);
  if (!correction.curves)
    return corrected_rows(v_low, parallel_for, [](std::int64_t, std::int64_t, float*) {});
  if (!fit || !correction.mask || correction.mask->shape() != v_low.shape)
    throw Error(ErrorCode::kInternal, "corrected_level: curves need a fit and a mask of the level");
  return corrected_by_curves(correction, *fit, v_low, parallel_for);
}

}  // namespace flatfield::methods
