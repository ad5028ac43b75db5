#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace flatfield::zarr {

/// Permutes the axes of an array: axis i of `to` is axis order[i] of `from`, as in
/// numpy.transpose. Both are in C order with elements of `itemsize` (1, 2, 4, 8 or 16) bytes, and
/// do not overlap; `shape` is that of `from`.
void permute_axes(std::span<const std::byte> from, std::span<std::byte> to,
                  const std::vector<std::int64_t>& shape, const std::vector<int>& order,
                  std::size_t itemsize);

/// The permutation that undoes `order`.
[[nodiscard]] std::vector<int> inverse_order(const std::vector<int>& order);

/// The shape of the array that permute_axes makes.
[[nodiscard]] std::vector<std::int64_t> permuted_shape(const std::vector<std::int64_t>& shape,
                                                       const std::vector<int>& order);

/// True if permuting an array of `shape` leaves every element where it is: axes of one element may
/// go anywhere.
[[nodiscard]] bool keeps_places(const std::vector<std::int64_t>& shape,
                                const std::vector<int>& order);

}  // namespace flatfield::zarr
