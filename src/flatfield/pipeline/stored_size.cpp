#include "flatfield/pipeline/stored_size.h"

#include <algorithm>
#include <cmath>

#include "flatfield/storage/fan_out.h"

namespace flatfield::pipeline {
namespace {

/// The first chunk of the object at `number` of the grid, in C order.
zarr::Shape first_chunk(std::int64_t number, const zarr::Shape& grid, const zarr::Shape& chunks_per_object) {
  zarr::Shape index(grid.size());
  for (std::size_t i = grid.size(); i-- > 0;) {
    index[i] = number % grid[i] * chunks_per_object[i];
    number /= grid[i];
  }
  return index;
}

}  // namespace

StoredSize stored_size(const zarr::Array& array, std::int64_t most_objects, int requests_at_once) {
  const zarr::ArrayMetadata& metadata = array.metadata();
  const zarr::Shape grid = zarr::object_grid(metadata);
  const zarr::Shape chunks = metadata.chunks_per_object();
  StoredSize size;
  size.objects = zarr::object_count(metadata);
  const std::size_t z_axis = grid.size() - 3;
  const std::int64_t rows = grid[z_axis];
  const std::int64_t row_stride = grid[z_axis + 1] * grid[z_axis + 2];
  size.bytes_by_z.assign(static_cast<std::size_t>(rows), 0);
  const std::int64_t asked = std::min(size.objects, most_objects);
  size.is_estimate = asked < size.objects;
  if (asked == 0) return size;

  std::vector<std::int64_t> bytes(static_cast<std::size_t>(asked));
  const auto number = [&](std::int64_t i) {
    return static_cast<std::int64_t>((static_cast<double>(i) + 0.5) * static_cast<double>(size.objects) /
                                     static_cast<double>(asked));
  };
  storage::fan_out(asked, requests_at_once, [&](std::int64_t i) {
    const std::string key = array.chunk_object_key(first_chunk(number(i), grid, chunks));
    bytes[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(array.shared_store()->size(key).value_or(0));
  });
  const double scale = static_cast<double>(size.objects) / static_cast<double>(asked);
  for (std::int64_t i = 0; i < asked; ++i) {
    const double share = scale * static_cast<double>(bytes[static_cast<std::size_t>(i)]);
    size.bytes_by_z[static_cast<std::size_t>(number(i) / row_stride % rows)] += std::llround(share);
  }
  for (const std::int64_t row : size.bytes_by_z) size.bytes += row;
  return size;
}

}  // namespace flatfield::pipeline
