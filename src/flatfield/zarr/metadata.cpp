#include "flatfield/zarr/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <numeric>

namespace flatfield::zarr {
namespace {

constexpr std::size_t kMaxDimensions = 32;  // as in numpy

/// Product of `size` and all of `shape`; -1 where it does not fit. Zeros count as ones: an empty
/// array must not hide an absurd size.
std::int64_t product_of(std::int64_t size, const Shape& shape) {
  for (const std::int64_t n : shape)
    if (__builtin_mul_overflow(size, std::max<std::int64_t>(n, 1), &size)) return -1;
  return size;
}

/// How many pieces of `piece` there are along each axis of `shape`.
Shape grid_of(const Shape& shape, const Shape& piece) {
  Shape grid(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i)
    grid[i] = shape[i] / piece[i] + (shape[i] % piece[i] != 0 ? 1 : 0);
  return grid;
}

}  // namespace

bool operator==(const CodecChain& a, const CodecChain& b) {
  const bool same_sharding =
      a.sharding && b.sharding ? *a.sharding == *b.sharding : a.sharding == b.sharding;
  return a.order == b.order && a.byte_order == b.byte_order && same_sharding &&
         a.filters == b.filters && a.compressors == b.compressors;
}

std::int64_t ArrayMetadata::chunk_elements() const {
  std::int64_t count = 1;
  for (const std::int64_t n : chunk_shape) count *= n;
  return count;
}

std::size_t ArrayMetadata::chunk_bytes() const {
  return static_cast<std::size_t>(chunk_elements()) * size_of(dtype);
}

Shape ArrayMetadata::grid_shape() const { return grid_of(shape, chunk_shape); }

Shape ArrayMetadata::chunks_per_object() const {
  Shape count(shape.size(), 1);
  for (std::size_t i = 0; i < shard_shape.size(); ++i) count[i] = shard_shape[i] / chunk_shape[i];
  return count;
}

void check_shapes(const ArrayMetadata& metadata, ErrorCode code, std::string_view where) {
  const auto& shape = metadata.shape;
  const auto& chunks = metadata.chunk_shape;
  const auto itemsize = static_cast<std::int64_t>(size_of(metadata.dtype));
  if (shape.size() != chunks.size())
    throw Error(code,
                fmt::format("the shape has {} dimensions, but the chunks have {}", shape.size(),
                            chunks.size()),
                where);
  if (shape.size() > kMaxDimensions)
    throw Error(code,
                fmt::format("{} dimensions; at most {} are allowed", shape.size(), kMaxDimensions),
                where);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0)
      throw Error(code, fmt::format("the size of dimension {} is {}", i, shape[i]), where);
    if (chunks[i] < 1)
      throw Error(code, fmt::format("the chunk size of dimension {} is {}", i, chunks[i]), where);
  }
  if (product_of(itemsize, shape) < 0)
    throw Error(code, fmt::format("the shape [{}] is absurdly large", fmt::join(shape, ", ")),
                where);
  const std::int64_t chunk_bytes = product_of(itemsize, chunks);
  if (chunk_bytes < 0 || chunk_bytes > static_cast<std::int64_t>(kMaxChunkBytes))
    throw Error(ErrorCode::kUnsupported,
                fmt::format("chunks of [{}] {} are larger than 2 GiB", fmt::join(chunks, ", "),
                            name_of(metadata.dtype)),
                where, "write the array with smaller chunks");
  if (metadata.is_sharded()) check_shard(metadata.shard_shape, chunks, code, where);
}

void check_shard(std::span<const std::int64_t> shape, std::span<const std::int64_t> chunk_shape,
                 ErrorCode code, std::string_view where) {
  if (shape.size() != chunk_shape.size())
    throw Error(code,
                fmt::format("the shards have {} dimensions, but their chunks have {}", shape.size(),
                            chunk_shape.size()),
                where);
  std::int64_t count = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (chunk_shape[i] < 1 || shape[i] < 1 || shape[i] % chunk_shape[i] != 0)
      throw Error(code,
                  fmt::format("shards of [{}] cannot be divided into chunks of [{}]",
                              fmt::join(shape, ", "), fmt::join(chunk_shape, ", ")),
                  where);
    if (__builtin_mul_overflow(count, shape[i] / chunk_shape[i], &count) ||
        count > kMaxChunksPerShard)
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("shards of [{}] have too many chunks of [{}]", fmt::join(shape, ", "),
                              fmt::join(chunk_shape, ", ")),
                  where, "write the array with larger chunks, or smaller shards");
  }
}

void check_order(const std::vector<int>& order, std::size_t ndim, ErrorCode code,
                 std::string_view where) {
  std::vector<int> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int> axes(ndim);
  std::iota(axes.begin(), axes.end(), 0);
  if (!order.empty() && sorted != axes)
    throw Error(code, fmt::format("[{}] is no order of {} axes", fmt::join(order, ", "), ndim),
                where);
}

std::vector<int> reversed_axes(std::size_t ndim) {
  std::vector<int> order(ndim);
  std::iota(order.rbegin(), order.rend(), 0);
  return order;
}

std::string object_key(const ArrayMetadata& metadata, std::span<const std::int64_t> index) {
  const std::string_view separator(&metadata.separator, 1);
  const bool is_default = metadata.key_encoding == KeyEncoding::kDefault;
  if (index.empty()) return is_default ? "c" : "0";
  return fmt::format("{}{}{}", is_default ? "c" : "", is_default ? separator : "",
                     fmt::join(index, separator));
}

Shape object_grid(const ArrayMetadata& metadata) {
  return grid_of(metadata.shape, metadata.object_shape());
}

std::int64_t object_count(const ArrayMetadata& metadata) {
  const Shape grid = object_grid(metadata);
  return std::accumulate(grid.begin(), grid.end(), std::int64_t{1}, std::multiplies<>());
}

std::int64_t chunk_count(const ArrayMetadata& metadata) {
  const Shape grid = metadata.grid_shape();
  return std::accumulate(grid.begin(), grid.end(), std::int64_t{1}, std::multiplies<>());
}

std::optional<Shape> object_index(const ArrayMetadata& metadata, std::string_view key) {
  const Shape grid = object_grid(metadata);
  std::string_view rest = key;
  if (metadata.key_encoding == KeyEncoding::kDefault) {
    if (!rest.starts_with('c')) return std::nullopt;
    rest.remove_prefix(1);
    if (!rest.empty() && rest.front() == metadata.separator) rest.remove_prefix(1);
  }
  Shape index;
  while (!rest.empty() && index.size() < grid.size()) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc() || number < 0 || number >= grid[index.size()]) return std::nullopt;
    index.push_back(number);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (!rest.empty()) rest.remove_prefix(1);
  }
  // Only one spelling is the key: that which is printed.
  if (index.size() != grid.size() || object_key(metadata, index) != key) return std::nullopt;
  return index;
}

}  // namespace flatfield::zarr
