#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/zarr/array.h"

namespace flatfield::ome {

/// One (t, c) volume of an n-dimensional image array, seen as (z, y, x). The spatial axes are the last
/// three. Cheap to copy; members may be called from several threads, each with a scratch of its own.
class Volume {
 public:
  /// `leading` holds the index along each axis before z, y, x.
  /// Throws Error(kUnsupported) if the array has fewer than three axes.
  Volume(zarr::Array array, std::vector<std::int64_t> leading);

  [[nodiscard]] const zarr::Array& array() const { return array_; }
  [[nodiscard]] const Extent3& shape() const { return shape_; }
  /// Voxels of a chunk along z, y, x.
  [[nodiscard]] const Extent3& chunk_shape() const { return chunk_; }
  [[nodiscard]] DType dtype() const { return array_.metadata().dtype; }

  /// Says that the chunks of a box of the volume will be read with `scratch`: see
  /// zarr::Array::expect_chunks.
  void expect(const Box3& box, zarr::ChunkScratch& scratch) const;
  /// The same of single chunks, counted in chunks of this volume.
  void expect_chunks(std::span<const Extent3> chunks, zarr::ChunkScratch& scratch) const;
  /// Reads a box that lies within the volume. T must be the array's data type.
  /// Chunks that are not stored read as the fill value; returns whether all are stored.
  /// A chunk of which only a part was read stays decoded in `scratch` until another one takes its place: boxes
  /// within one chunk, read one after another, decode it once.
  template <class T>
  bool read(const Box3& box, BlockView<T> into, zarr::ChunkScratch& scratch) const;
  /// Where pixels of one plane of a chunk go: pixels [first, first + into.size()) in C order over the chunk's y and x,
  /// its padding included.
  template <class T>
  struct PlanePart {
    std::int64_t plane = 0;  ///< of the chunk
    std::int64_t first = 0;
    std::span<T> into;
  };
  /// Reads parts of planes of the chunk at `chunk` (in chunks of this volume), which is read once. T must be the array's
  /// data type.
  template <class T>
  void read_plane_parts(const Extent3& chunk, std::span<const PlanePart<T>> parts, zarr::ChunkScratch& scratch) const;

  /// Index of the chunk at `chunk` (in chunks) of this volume in the array's grid.
  [[nodiscard]] std::vector<std::int64_t> chunk_index(const Extent3& chunk) const;

 private:
  void check_type(DType type) const;

  zarr::Array array_;
  std::vector<std::int64_t> leading_;
  Extent3 shape_;
  Extent3 chunk_;
  /// First element of this volume's part of a decoded chunk (chunks may hold several channels).
  std::int64_t slab_offset_ = 0;
};

extern template bool Volume::read(const Box3&, BlockView<std::uint8_t>, zarr::ChunkScratch&) const;
extern template bool Volume::read(const Box3&, BlockView<std::uint16_t>, zarr::ChunkScratch&) const;
extern template bool Volume::read(const Box3&, BlockView<float>, zarr::ChunkScratch&) const;
extern template void Volume::read_plane_parts(const Extent3&, std::span<const PlanePart<std::uint8_t>>,
                                              zarr::ChunkScratch&) const;
extern template void Volume::read_plane_parts(const Extent3&, std::span<const PlanePart<std::uint16_t>>,
                                              zarr::ChunkScratch&) const;

}  // namespace flatfield::ome
