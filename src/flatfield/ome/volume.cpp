#include "flatfield/ome/volume.h"

#include <algorithm>

#include "flatfield/core/error.h"

namespace flatfield::ome {
namespace {

/// Chunks that are fetched together where planes are read.
constexpr std::size_t kPlaneChunksAhead = 8;

Extent3 last_three(const std::vector<std::int64_t>& values) {
  const std::size_t n = values.size();
  return {values[n - 3], values[n - 2], values[n - 1]};
}

/// Boxes of the chunks that touch a region, in C order.
template <class F>
void for_each_chunk(const Box3& region, const Extent3& chunk, F visit) {
  if (region.empty()) return;
  const Extent3 first = map_axes(region.origin, chunk, [](auto o, auto c) { return o / c; });
  const Extent3 last = ceil_div(region.end(), chunk);
  for (std::int64_t z = first.z; z < last.z; ++z)
    for (std::int64_t y = first.y; y < last.y; ++y)
      for (std::int64_t x = first.x; x < last.x; ++x) visit(Extent3{z, y, x});
}

template <class T>
std::span<std::byte> bytes_of(T* data, std::int64_t count) {
  return {reinterpret_cast<std::byte*>(data), static_cast<std::size_t>(count) * sizeof(T)};
}

}  // namespace

Volume::Volume(zarr::Array array, std::vector<std::int64_t> leading)
    : array_(std::move(array)), leading_(std::move(leading)) {
  const zarr::ArrayMetadata& metadata = array_.metadata();
  if (metadata.ndim() < 3)
    throw Error(ErrorCode::kUnsupported, "the array has fewer than three axes", array_.describe());
  if (leading_.size() + 3 != metadata.shape.size())
    throw Error(ErrorCode::kInternal, "wrong number of leading indices", array_.describe());
  shape_ = last_three(metadata.shape);
  chunk_ = last_three(metadata.chunk_shape);
  for (std::size_t i = 0; i < leading_.size(); ++i) {
    const std::int64_t extent = metadata.chunk_shape[i];
    slab_offset_ = slab_offset_ * extent + leading_[i] % extent;
  }
  slab_offset_ *= chunk_.volume();
}

std::vector<std::int64_t> Volume::chunk_index(const Extent3& chunk) const {
  std::vector<std::int64_t> index;
  index.reserve(leading_.size() + 3);
  for (std::size_t i = 0; i < leading_.size(); ++i)
    index.push_back(leading_[i] / array_.metadata().chunk_shape[i]);
  index.insert(index.end(), {chunk.z, chunk.y, chunk.x});
  return index;
}

void Volume::expect(const Box3& box, zarr::ChunkScratch& scratch) const {
  std::vector<zarr::Shape> chunks;
  for_each_chunk(box, chunk_, [&](const Extent3& chunk) { chunks.push_back(chunk_index(chunk)); });
  array_.expect_chunks(chunks, scratch);
}

template <class T>
void Volume::read(const Box3& box, BlockView<T> into, zarr::ChunkScratch& scratch) const {
  if (DTypeOf<T>::value != dtype())
    throw Error(ErrorCode::kInternal, "read as another data type than the array's", array_.describe());
  const bool chunk_is_block = array_.metadata().chunk_elements() == chunk_.volume();
  for_each_chunk(box, chunk_, [&](const Extent3& chunk) {
    const Box3 chunk_box{chunk * chunk_, chunk_};
    const Box3 part = intersect(chunk_box, box);
    const BlockView<T> target = into.sub({part.origin - box.origin, part.shape});
    if (chunk_is_block && part == chunk_box && target.contiguous()) {
      array_.read_chunk(chunk_index(chunk), bytes_of(target.data, target.size()), scratch);
      return;
    }
    Buffer decoded = std::move(scratch.chunk);
    decoded.resize(array_.metadata().chunk_bytes());
    array_.read_chunk(chunk_index(chunk), decoded.span(), scratch);
    const BlockView<const T> source(reinterpret_cast<const T*>(decoded.data()) + slab_offset_, chunk_);
    copy_block<T>(source.sub({part.origin - chunk_box.origin, part.shape}), target);
    scratch.chunk = std::move(decoded);
  });
}

template <class T>
void Volume::read_planes(const std::vector<std::int64_t>& planes, const Box3& region,
                         BlockView<T> into, zarr::ChunkScratch& scratch) const {
  const std::int64_t plane_elements = chunk_.y * chunk_.x;
  std::vector<zarr::Shape> ahead;  // all chunks that are read, in this order
  for (std::size_t i = 0; i < planes.size(); ++i)
    if (i == 0 || planes[i] / chunk_.z != planes[i - 1] / chunk_.z)
      for_each_chunk({{planes[i], region.origin.y, region.origin.x}, {1, region.shape.y, region.shape.x}},
                     chunk_,
                     [&](const Extent3& chunk) { ahead.push_back(chunk_index(chunk)); });
  std::size_t chunks_read = 0;
  Buffer decoded;
  for (std::size_t first = 0; first < planes.size();) {
    // Planes that lie in the same chunks are read together.
    const std::int64_t chunk_z = planes[first] / chunk_.z;
    std::size_t last = first;
    while (last < planes.size() && planes[last] / chunk_.z == chunk_z) ++last;
    const std::int64_t z0 = planes[first] % chunk_.z;
    const std::int64_t z1 = planes[last - 1] % chunk_.z + 1;
    const Box3 slice{{chunk_z * chunk_.z, region.origin.y, region.origin.x},
                     {1, region.shape.y, region.shape.x}};
    for_each_chunk(slice, chunk_, [&](const Extent3& chunk) {
      if (chunks_read % kPlaneChunksAhead == 0)
        array_.expect_chunks(std::span(ahead).subspan(chunks_read).first(std::min(
                                 kPlaneChunksAhead, ahead.size() - chunks_read)),
                             scratch);
      ++chunks_read;
      decoded.resize(static_cast<std::size_t>((z1 - z0) * plane_elements) * sizeof(T));
      array_.read_chunk_elements(chunk_index(chunk), slab_offset_ + z0 * plane_elements,
                                 (z1 - z0) * plane_elements, decoded.span(), scratch);
      const BlockView<const T> source(reinterpret_cast<const T*>(decoded.data()),
                                      {z1 - z0, chunk_.y, chunk_.x});
      const Box3 part = intersect({{slice.origin.z, chunk.y * chunk_.y, chunk.x * chunk_.x},
                                   {1, chunk_.y, chunk_.x}},
                                  slice);
      for (std::size_t i = first; i < last; ++i) {
        const Box3 from{{planes[i] % chunk_.z - z0, part.origin.y - chunk.y * chunk_.y,
                         part.origin.x - chunk.x * chunk_.x},
                        part.shape};
        const Box3 to{{static_cast<std::int64_t>(i), part.origin.y - region.origin.y,
                       part.origin.x - region.origin.x},
                      part.shape};
        copy_block<T>(source.sub(from), into.sub(to));
      }
    });
    first = last;
  }
}

template void Volume::read(const Box3&, BlockView<std::uint8_t>, zarr::ChunkScratch&) const;
template void Volume::read(const Box3&, BlockView<std::uint16_t>, zarr::ChunkScratch&) const;
template void Volume::read(const Box3&, BlockView<float>, zarr::ChunkScratch&) const;
template void Volume::read_planes(const std::vector<std::int64_t>&, const Box3&,
                                  BlockView<std::uint8_t>, zarr::ChunkScratch&) const;
template void Volume::read_planes(const std::vector<std::int64_t>&, const Box3&,
                                  BlockView<std::uint16_t>, zarr::ChunkScratch&) const;

}  // namespace flatfield::ome
