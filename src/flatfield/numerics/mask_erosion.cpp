#include "flatfield/numerics/mask_erosion.h"

#include <algorithm>
#include <string>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

/// Rows of y that one task erodes.
constexpr std::int64_t kRowsPerTask = 16;
/// Planes of these rows that it erodes at the same time, beside which those within reach are in memory: not many fewer
/// than these, which are gone through again for the next ones.
std::int64_t planes_at_once(const Extent3& shape, std::int64_t radius) {
  return std::max<std::int64_t>(64, 2 * std::min(radius, shape.z));
}

/// A ball, and what surrounds the volume that it is fitted into.
struct Ball {
  std::int32_t radius;
  BeyondBorder beyond;

  /// Stands for all distances beyond the radius, and for all squared ones.
  [[nodiscard]] std::int32_t far() const { return radius + 1; }
  [[nodiscard]] std::int32_t far_squared() const { return radius * radius + 1; }
  /// How far from itself a voxel of an axis of this length can have neighbours that matter.
  [[nodiscard]] std::int32_t reach(std::int64_t length) const {
    return static_cast<std::int32_t>(std::min<std::int64_t>(radius, length - 1));
  }
};

/// Squared distance of every voxel of a row to the nearest background of the row, which may be the
/// voxel beyond either end.
void row_distances(BitRow mask, std::int64_t width, const Ball& ball,
                   std::int32_t* squared) {
  const std::int32_t outside = ball.beyond == BeyondBorder::kBackground ? 0 : ball.far();
  std::int32_t steps = outside;
  for (std::int64_t x = 0; x < width; ++x) {
    steps = mask[x] ? std::min(steps + 1, ball.far()) : 0;
    squared[x] = steps;
  }
  steps = outside;
  for (std::int64_t x = width - 1; x >= 0; --x) {
    steps = mask[x] ? std::min(steps + 1, ball.far()) : 0;
    const std::int32_t nearest = std::min(squared[x], steps);
    squared[x] = std::min(nearest * nearest, ball.far_squared());
  }
}

/// to = min(to, from + added), row by row.
void lower_to(const std::int32_t* __restrict from, std::int32_t added, std::int64_t width,
              std::int32_t* __restrict to) {
  for (std::int64_t x = 0; x < width; ++x) to[x] = std::min(to[x], from[x] + added);
}

/// Rows of y and planes of z, from the first on to the last, which is not one of them.
struct Band {
  std::int64_t first_z, last_z, first_y, last_y;
};

/// Squared distances along x of the rows within reach of a band.
class RowBand {
 public:
  RowBand(BitView mask, const Band& band, const Ball& ball)
      : width_(mask.shape.x),
        first_z_(std::max<std::int64_t>(band.first_z - ball.reach(mask.shape.z), 0)),
        last_z_(std::min(band.last_z + ball.reach(mask.shape.z), mask.shape.z)),
        first_y_(band.first_y - ball.reach(mask.shape.y)),
        rows_(band.last_y - band.first_y + 2 * std::int64_t{ball.reach(mask.shape.y)}),
        squared_(static_cast<std::size_t>((last_z_ - first_z_) * rows_ * width_),
                 ball.beyond == BeyondBorder::kBackground ? 0 : ball.far_squared()) {
    for (std::int64_t z = first_z_; z < last_z_; ++z)
      for (std::int64_t y = std::max<std::int64_t>(first_y_, 0); y < std::min(first_y_ + rows_, mask.shape.y); ++y)
        row_distances(mask.row(z, y), width_, ball, row(z, y));
  }
  [[nodiscard]] std::int64_t first_z() const { return first_z_; }
  [[nodiscard]] std::int64_t last_z() const { return last_z_; }
  [[nodiscard]] std::int32_t* row(std::int64_t z, std::int64_t y) {
    return squared_.data() + ((z - first_z_) * rows_ + (y - first_y_)) * width_;
  }

 private:
  std::int64_t width_;
  std::int64_t first_z_;  ///< of the planes that there are
  std::int64_t last_z_;
  std::int64_t first_y_;
  std::int64_t rows_;
  std::vector<std::int32_t> squared_;
};

void erode_band(BitView mask, const Band& band, const Ball& ball, BitVolume& out) {
  const Extent3& shape = mask.shape;
  RowBand along_x(mask, band, ball);
  const std::int64_t rows = band.last_y - band.first_y;
  const auto row_voxels = static_cast<std::size_t>(shape.x);
  std::vector<std::int32_t> along_xy(static_cast<std::size_t>((along_x.last_z() - along_x.first_z()) * rows) * row_voxels);
  const auto row_xy = [&](std::int64_t z, std::int64_t y) {
    return along_xy.data() + ((z - along_x.first_z()) * rows + (y - band.first_y)) * shape.x;
  };
  for (std::int64_t z = along_x.first_z(); z < along_x.last_z(); ++z)
    for (std::int64_t y = band.first_y; y < band.last_y; ++y) {
      std::copy_n(along_x.row(z, y), shape.x, row_xy(z, y));
      for (std::int32_t d = 1; d <= ball.reach(shape.y); ++d)
        for (const std::int64_t neighbour : {y - d, y + d})
          lower_to(along_x.row(z, neighbour), d * d, shape.x, row_xy(z, y));
    }
  std::vector<std::int32_t> nearest(row_voxels);
  std::vector<std::uint8_t> far(row_voxels);
  for (std::int64_t z = band.first_z; z < band.last_z; ++z)
    for (std::int64_t y = band.first_y; y < band.last_y; ++y) {
      if (ball.beyond == BeyondBorder::kBackground &&
          (z < ball.radius || z + ball.radius >= shape.z))
        continue;  // clear already
      std::copy_n(row_xy(z, y), shape.x, nearest.data());
      for (std::int32_t d = 1; d <= ball.reach(shape.z); ++d)
        for (const std::int64_t neighbour : {z - d, z + d})
          if (neighbour >= 0 && neighbour < shape.z)
            lower_to(row_xy(neighbour, y), d * d, shape.x, nearest.data());
      for (std::int64_t x = 0; x < shape.x; ++x)
        far[static_cast<std::size_t>(x)] = nearest[static_cast<std::size_t>(x)] < ball.far_squared() ? 0 : 1;
      out.set_row(z, y, 0, far.data(), shape.x);
    }
}

}  // namespace

BitVolume erode_by_ball(BitView mask, std::int64_t radius_voxels,
                        const ParallelFor& parallel_for, BeyondBorder beyond) {
  if (radius_voxels < 0)
    throw Error(ErrorCode::kInternal,
                "erode_by_ball: expected a radius from 0, found " + std::to_string(radius_voxels));
  const Extent3& shape = mask.shape;
  BitVolume out(shape);
  // A ball that is wider than the volume fits nowhere.
  const std::int64_t widest = (std::min({shape.z, shape.y, shape.x}) - 1) / 2;
  if (shape.empty() || (beyond == BeyondBorder::kBackground && radius_voxels > widest)) return out;
  constexpr std::int64_t kLargestRadius = 32766;  // the sum of two squares is an int32
  if (radius_voxels > kLargestRadius)
    throw Error(ErrorCode::kInternal,
                "erode_by_ball: a radius of " + std::to_string(radius_voxels) + " is out of range");
  const Ball ball{static_cast<std::int32_t>(radius_voxels), beyond};
  parallel_for(ceil_div(shape.y, kRowsPerTask), [&](std::int64_t task) {
    const std::int64_t first = task * kRowsPerTask;
    const std::int64_t planes = planes_at_once(shape, radius_voxels);
    for (std::int64_t z = 0; z < shape.z; z += planes)
      erode_band(mask, {z, std::min(z + planes, shape.z), first, std::min(first + kRowsPerTask, shape.y)}, ball, out);
  });
  return out;
}

std::int64_t erosion_bytes(const Extent3& shape, std::int64_t radius_voxels) {
  const std::int64_t planes = std::min(planes_at_once(shape, radius_voxels) + 2 * std::min(radius_voxels, shape.z), shape.z);
  const std::int64_t rows = 2 * kRowsPerTask + 2 * std::min(radius_voxels, shape.y) + 1;
  return planes * rows * shape.x * static_cast<std::int64_t>(sizeof(std::int32_t));
}

}  // namespace flatfield::numerics
