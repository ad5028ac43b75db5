#include "flatfield/methods/correction.h"

#include <algorithm>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/methods/correction_rows.h"
#include "flatfield/numerics/nearest_resize.h"

namespace flatfield::methods {
namespace {

/// What the mask says about a row of a box.
enum RowKind : std::uint8_t { kOutside, kInside, kMixed };

RowKind row_kind(BitRow row, std::int64_t begin, std::int64_t end) {
  if (row[begin]) return row.find_clear(begin, end) == end ? kInside : kMixed;
  return row.find_set(begin, end) == end ? kOutside : kMixed;
}

/// 1/c in float32, or ones for an axis that is not corrected (a product with 1 is exact).
std::vector<float> reciprocals(const std::vector<float>& curve, std::int64_t length, const char* axis) {
  if (curve.empty()) return std::vector<float>(static_cast<std::size_t>(length), 1.0F);
  if (static_cast<std::int64_t>(curve.size()) != length)
    throw Error(ErrorCode::kInternal, std::string("the correction curve along ") + axis + " has " +
                                          std::to_string(curve.size()) + " values, the volume " +
                                          std::to_string(length));
  std::vector<float> out(curve.size());
  std::transform(curve.begin(), curve.end(), out.begin(), [](float c) { return 1.0F / c; });
  return out;
}

}  // namespace

CorrectionKernel::CorrectionKernel(const Correction& correction) : correction_(&correction) {
  check_parts();
  const Extent3& shape = correction.shape;
  // Where there is no plane, zeros are subtracted: v - 0 is exact, and there is one kernel.
  zeros_.assign(static_cast<std::size_t>(shape.x), 0.0F);
  if (correction.mask) {
    mask_z_ = numerics::nearest_indices(correction.mask->shape().z, shape.z);
    mask_y_ = numerics::nearest_indices(correction.mask->shape().y, shape.y);
    mask_x_ = numerics::nearest_indices(correction.mask->shape().x, shape.x);
  }
  if (!correction.curves) return;
  reciprocal_z_ = reciprocals(correction.curves->z, shape.z, "z");
  reciprocal_y_ = reciprocals(correction.curves->y, shape.y, "y");
  reciprocal_x_ = reciprocals(correction.curves->x, shape.x, "x");
}

void CorrectionKernel::check_parts() const {
  const Extent3 plane{1, correction_->shape.y, correction_->shape.x};
  const auto check = [&](const Block<float>& part, const char* name) {
    if (part.shape() != plane)
      throw Error(ErrorCode::kInternal,
                  std::string("the ") + name + " does not have the shape of the volume's planes");
  };
  if (correction_->background) check(*correction_->background, "background");
  if (correction_->curves && !correction_->mask)
    throw Error(ErrorCode::kInternal, "correction curves without a mask");
  if (!correction_->image) return;
  if (correction_->curves) throw Error(ErrorCode::kInternal, "a correction by curves and by an image");
  check(correction_->image->flatfield, "flatfield");
  if (correction_->image->darkfield) check(*correction_->image->darkfield, "darkfield");
}

void CorrectionKernel::expand_mask(const Box3& box, Scratch& scratch) const {
  // Each row of the low-resolution mask serves many rows of the box: expand it along x once.
  const std::int64_t z0 = mask_z_[static_cast<std::size_t>(box.origin.z)];
  const std::int64_t z1 = mask_z_[static_cast<std::size_t>(box.end().z - 1)];
  const std::int64_t y0 = mask_y_[static_cast<std::size_t>(box.origin.y)];
  const std::int64_t y1 = mask_y_[static_cast<std::size_t>(box.end().y - 1)];
  const std::int64_t rows = (z1 - z0 + 1) * (y1 - y0 + 1);
  scratch.mask_rows.resize(static_cast<std::size_t>(rows * box.shape.x));
  scratch.row_kinds.resize(static_cast<std::size_t>(rows));
  const std::int64_t* source_x = mask_x_.data() + box.origin.x;
  std::uint32_t* expanded = scratch.mask_rows.data();
  std::uint8_t* kind = scratch.row_kinds.data();
  for (std::int64_t z = z0; z <= z1; ++z) {
    for (std::int64_t y = y0; y <= y1; ++y, ++kind, expanded += box.shape.x) {
      const BitRow low = correction_->mask->row(z, y);
      *kind = row_kind(low, source_x[0], source_x[box.shape.x - 1] + 1);
      if (*kind != kMixed) continue;
      for (std::int64_t x = 0; x < box.shape.x; ++x)
        expanded[x] = low[source_x[x]] ? 0xFFFFFFFFU : 0U;
    }
  }
}

template <class T>
void CorrectionKernel::apply(const Box3& box, BlockView<const T> raw, BlockView<std::uint16_t> out,
                             Scratch& scratch) const {
  if (box.empty()) return;
  if (correction_->curves) return apply_curves(box, raw, out, scratch);
  const CorrectionRows<T> rows = correction_rows<T>();
  const auto& image = correction_->image;
  const std::int64_t x = box.origin.x;
  for (std::int64_t z = 0; z < box.shape.z; ++z)
    for (std::int64_t y = 0; y < box.shape.y; ++y) {
      const std::int64_t volume_y = box.origin.y + y;
      const float* background = plane_row(correction_->background, volume_y, x);
      if (image)
        rows.flatten(raw.row(z, y), background, plane_row(image->darkfield, volume_y, x),
                     image->flatfield.view().row(0, volume_y) + x, out.row(z, y), box.shape.x);
      else
        rows.subtract(raw.row(z, y), background, out.row(z, y), box.shape.x);
    }
}

template <class T>
void CorrectionKernel::apply_curves(const Box3& box, BlockView<const T> raw,
                                    BlockView<std::uint16_t> out, Scratch& scratch) const {
  const CorrectionRows<T> rows = correction_rows<T>();
  const std::int64_t n = box.shape.x;
  expand_mask(box, scratch);
  const std::int64_t z0 = mask_z_[static_cast<std::size_t>(box.origin.z)];
  const std::int64_t y0 = mask_y_[static_cast<std::size_t>(box.origin.y)];
  const std::int64_t y1 = mask_y_[static_cast<std::size_t>(box.end().y - 1)];
  for (std::int64_t z = 0; z < box.shape.z; ++z) {
    const auto volume_z = static_cast<std::size_t>(box.origin.z + z);
    for (std::int64_t y = 0; y < box.shape.y; ++y) {
      const auto volume_y = static_cast<std::size_t>(box.origin.y + y);
      const std::int64_t mask_row = (mask_z_[volume_z] - z0) * (y1 - y0 + 1) + mask_y_[volume_y] - y0;
      const float* background =
          plane_row(correction_->background, box.origin.y + y, box.origin.x);
      const float gain_y = reciprocal_y_[volume_y];
      const float gain_z = reciprocal_z_[volume_z];
      const float ratio = correction_->curves->ratio;
      const RowGains gains{reciprocal_x_.data() + box.origin.x, gain_y, gain_z, ratio};
      switch (scratch.row_kinds[static_cast<std::size_t>(mask_row)]) {
        case kOutside: rows.subtract(raw.row(z, y), background, out.row(z, y), n); break;
        case kInside: rows.gain(raw.row(z, y), background, gains, out.row(z, y), n); break;
        default:
          rows.gain_inside(raw.row(z, y), background, gains,
                           scratch.mask_rows.data() + mask_row * n, out.row(z, y), n);
      }
    }
  }
}

template void CorrectionKernel::apply(const Box3&, BlockView<const std::uint8_t>,
                                      BlockView<std::uint16_t>, Scratch&) const;
template void CorrectionKernel::apply(const Box3&, BlockView<const std::uint16_t>,
                                      BlockView<std::uint16_t>, Scratch&) const;

void CorrectionKernel::upscale_mask(const Box3& box, BlockView<std::uint8_t> out) const {
  const std::int64_t* source_x = mask_x_.data() + box.origin.x;
  for (std::int64_t z = 0; z < box.shape.z; ++z) {
    const std::int64_t source_z = mask_z_[static_cast<std::size_t>(box.origin.z + z)];
    for (std::int64_t y = 0; y < box.shape.y; ++y) {
      const std::int64_t source_y = mask_y_[static_cast<std::size_t>(box.origin.y + y)];
      std::uint8_t* row = out.row(z, y);
      // Rows that come from the row before are copied instead of gathered again.
      if (y > 0 && source_y == mask_y_[static_cast<std::size_t>(box.origin.y + y - 1)]) {
        std::copy_n(out.row(z, y - 1), box.shape.x, row);
        continue;
      }
      const BitRow low = correction_->mask->row(source_z, source_y);
      const RowKind kind = row_kind(low, source_x[0], source_x[box.shape.x - 1] + 1);
      if (kind == kMixed)
        for (std::int64_t x = 0; x < box.shape.x; ++x) row[x] = low[source_x[x]] ? 1 : 0;
      else
        std::fill_n(row, box.shape.x, kind == kInside ? std::uint8_t{1} : std::uint8_t{0});
    }
  }
}

}  // namespace flatfield::methods
