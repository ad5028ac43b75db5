#include "flatfield/zarr/read_box.h"

#include <algorithm>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/zarr/nd_copy.h"

namespace flatfield::zarr {

void read_box(const Array& array, const Shape& origin, const Shape& shape,
              std::span<std::byte> into, ChunkScratch& scratch) {
  const ArrayMetadata& metadata = array.metadata();
  const std::size_t ndim = metadata.shape.size();
  const std::size_t itemsize = size_of(metadata.dtype);
  std::size_t bytes = itemsize;
  bool inside = origin.size() == ndim && shape.size() == ndim;
  for (std::size_t i = 0; inside && i < ndim; ++i) {
    inside = origin[i] >= 0 && shape[i] >= 0 && origin[i] <= metadata.shape[i] - shape[i];
    bytes *= static_cast<std::size_t>(shape[i]);
  }
  if (!inside || into.size() != bytes)
    throw Error(ErrorCode::kInternal, "a box that is not in the array was asked for",
                array.describe());
  if (bytes == 0) return;

  Shape first(ndim);
  Shape count(ndim);
  for (std::size_t i = 0; i < ndim; ++i) {
    first[i] = origin[i] / metadata.chunk_shape[i];
    count[i] = (origin[i] + shape[i] - 1) / metadata.chunk_shape[i] - first[i] + 1;
  }
  std::vector<Shape> chunks;
  for_each_index(count, [&](const Shape& index) {
    Shape& chunk = chunks.emplace_back(index);
    for (std::size_t i = 0; i < ndim; ++i) chunk[i] += first[i];
  });
  Shape from(ndim);
  Shape to(ndim);
  Shape part(ndim);
  array.read_chunks(chunks, scratch, [&](std::size_t number, std::span<const std::byte> chunk) {
    for (std::size_t i = 0; i < ndim; ++i) {
      const std::int64_t begin = chunks[number][i] * metadata.chunk_shape[i];
      const std::int64_t low = std::max(begin, origin[i]);
      const std::int64_t high = std::min(begin + metadata.chunk_shape[i], origin[i] + shape[i]);
      from[i] = low - begin;
      to[i] = low - origin[i];
      part[i] = high - low;
    }
    copy_box({chunk.data(), metadata.chunk_shape, from}, {into.data(), shape, to}, part, itemsize);
  });
}

}  // namespace flatfield::zarr
