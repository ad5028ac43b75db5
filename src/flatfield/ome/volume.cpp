#include "flatfield/ome/volume.h"

#include <algorithm>

#include "flatfield/core/error.h"

namespace flatfield::ome {
namespace {

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

void Volume::check_type(DType type) const {
  if (type != dtype())
    throw Error(ErrorCode::kInternal, "read as another data type than the array's", array_.describe());
}

void Volume::expect(const Box3& box, zarr::ChunkScratch& scratch) const {
  std::vector<Extent3> chunks;
  for_each_chunk(box, chunk_, [&](const Extent3& chunk) { chunks.push_back(chunk); });
  expect_chunks(chunks, scratch);
}

void Volume::expect_chunks(std::span<const Extent3> chunks, zarr::ChunkScratch& scratch) const {
  std::vector<zarr::Shape> indices;
  indices.reserve(chunks.size());
  for (const Extent3& chunk : chunks) indices.push_back(chunk_index(chunk));
  array_.expect_chunks(indices, scratch);
}

template <class T>
bool Volume::read(const Box3& box, BlockView<T> into, zarr::ChunkScratch& scratch) const {
  check_type(DTypeOf<T>::value);
  const bool chunk_is_block = array_.metadata().chunk_elements() == chunk_.volume();
  bool all_stored = true;
  for_each_chunk(box, chunk_, [&](const Extent3& chunk) {
    const Box3 chunk_box{chunk * chunk_, chunk_};
    const Box3 part = intersect(chunk_box, box);
    const BlockView<T> target = into.sub({part.origin - box.origin, part.shape});
    if (chunk_is_block && part == chunk_box && target.contiguous()) {
      all_stored &= array_.read_chunk(chunk_index(chunk), bytes_of(target.data, target.size()), scratch);
      return;
    }
    all_stored &= array_.hold_chunk(chunk_index(chunk), scratch);
    const BlockView<const T> source(reinterpret_cast<const T*>(scratch.chunk.data()) + slab_offset_, chunk_);
    copy_block<T>(source.sub({part.origin - chunk_box.origin, part.shape}), target);
  });
  return all_stored;
}

template <class T>
void Volume::read_plane_parts(const Extent3& chunk, std::span<const PlanePart<T>> parts,
                              zarr::ChunkScratch& scratch) const {
  check_type(DTypeOf<T>::value);
  std::vector<zarr::ChunkPart> chunk_parts;
  chunk_parts.reserve(parts.size());
  for (const PlanePart<T>& part : parts)
    chunk_parts.push_back({slab_offset_ + part.plane * chunk_.y * chunk_.x + part.first,
                           std::as_writable_bytes(part.into)});
  array_.read_chunk_parts(chunk_index(chunk), chunk_parts, scratch);
}

template bool Volume::read(const Box3&, BlockView<std::uint8_t>, zarr::ChunkScratch&) const;
template bool Volume::read(const Box3&, BlockView<std::uint16_t>, zarr::ChunkScratch&) const;
template bool Volume::read(const Box3&, BlockView<float>, zarr::ChunkScratch&) const;
template void Volume::read_plane_parts(const Extent3&, std::span<const PlanePart<std::uint8_t>>,
                                       zarr::ChunkScratch&) const;
template void Volume::read_plane_parts(const Extent3&, std::span<const PlanePart<std::uint16_t>>,
                                       zarr::ChunkScratch&) const;

}  // namespace flatfield::ome
