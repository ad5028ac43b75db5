#include "flatfield/pipeline/chunk_readings.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "flatfield/pipeline/pass_memory.h"

namespace flatfield::pipeline {
namespace {

/// The cells along one axis, and the chunks that they touch.
class AxisCells {
 public:
  AxisCells(std::int64_t voxels, std::int64_t chunk, std::int64_t cell, std::int64_t halo) {
    for (std::int64_t begin = 0; begin < voxels; begin += cell)
      cells_.push_back({std::max<std::int64_t>(0, begin - halo) / chunk, (std::min(begin + cell + halo, voxels) - 1) / chunk});
  }

  /// Chunks that are touched, by each cell anew.
  [[nodiscard]] std::int64_t touched() const {
    std::int64_t sum = 0;
    for (const Touched& cell : cells_) sum += cell.last - cell.first + 1;
    return sum;
  }

  /// Of the parts of `length` cells (2, or the 1 that is left of an odd number): those whose cell `to` begins in the chunk
  /// in which their cell `from` ends.
  [[nodiscard]] std::int64_t meetings(std::int64_t length, std::int64_t from, std::int64_t to) const {
    const std::int64_t count = std::ssize(cells_);
    std::int64_t sum = 0;
    for (std::int64_t part = 0; part < count; part += 2) {
      if (std::min<std::int64_t>(2, count - part) != length) continue;
      const Touched& before = cells_[static_cast<std::size_t>(part + from)];
      const Touched& after = cells_[static_cast<std::size_t>(part + to)];
      if (before.last == after.first) ++sum;
    }
    return sum;
  }

 private:
  struct Touched {
    std::int64_t first;
    std::int64_t last;
  };
  std::vector<Touched> cells_;
};

/// Readings that are spared because a cell begins with the chunk with which the one before it in its part has ended.
std::int64_t spared_readings(const std::vector<AxisCells>& axes) {
  std::int64_t spared = 0;
  for (std::int64_t kind = 0; kind < 8; ++kind) {
    const Extent3 part = unravel(kind, {2, 2, 2}) + Extent3{1, 1, 1};
    for (std::int64_t i = 1; i < part.volume(); ++i) {
      const Extent3 from = unravel(i - 1, part);
      const Extent3 to = unravel(i, part);
      std::int64_t parts = 1;
      for (int axis = 0; axis < 3; ++axis)
        parts *= axes[static_cast<std::size_t>(axis)].meetings(part[axis], from[axis], to[axis]);
      spared += parts;
    }
  }
  return spared;
}

}  // namespace

double readings_per_chunk(const zarr::ArrayMetadata& array, const Extent3& cell, bool by_parts, const Extent3& halo) {
  const Extent3 shape = spatial(array.shape);
  const Extent3 chunk = spatial(array.chunk_shape);
  if (shape.empty()) return 1.0;
  std::vector<AxisCells> axes;
  std::int64_t readings = 1;
  for (int axis = 0; axis < 3; ++axis) {
    axes.emplace_back(shape[axis], chunk[axis], cell[axis], halo[axis]);
    readings *= axes.back().touched();
  }
  if (by_parts) readings -= spared_readings(axes);
  // Volumes that share a chunk read it once each.
  return static_cast<double>(readings) / static_cast<double>(ceil_div(shape, chunk).volume()) * volumes_per_chunk(array);
}

std::int64_t most_chunks_in(const Extent3& box, const Extent3& chunk) {
  return map_axes(box, chunk, [](std::int64_t b, std::int64_t c) {
           return b % c == 0 ? b / c : c % b == 0 ? 1 : ceil_div(b, c) + 1;
         }).volume();
}

double volumes_per_chunk(const zarr::ArrayMetadata& array) {
  double volumes = 1.0;
  for (std::size_t i = 0; i + 3 < array.shape.size(); ++i) {
    const std::int64_t chunks = (array.shape[i] + array.chunk_shape[i] - 1) / array.chunk_shape[i];
    volumes *= static_cast<double>(array.shape[i]) / static_cast<double>(std::max<std::int64_t>(1, chunks));
  }
  return volumes;
}

}  // namespace flatfield::pipeline
