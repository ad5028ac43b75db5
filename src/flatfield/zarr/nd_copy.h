#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace flatfield::zarr {

/// Calls `visit(index)` for every index of a grid of `shape`, in C order; once, with an empty
/// index, for a grid without axes.
template <class Visit>
void for_each_index(const std::vector<std::int64_t>& shape, Visit visit) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return;
  std::vector<std::int64_t> index(shape.size(), 0);
  for (;;) {
    visit(static_cast<const std::vector<std::int64_t>&>(index));
    std::size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

/// An n-dimensional array in memory, in C order, and an element of it.
template <class Byte>
struct BoxCorner {
  Byte* data;
  const std::vector<std::int64_t>& shape;
  const std::vector<std::int64_t>& origin;
};

/// Copies a box of elements of `itemsize` bytes from one array to another; `box` is its shape, and
/// the corners say where it begins in each. It lies in both.
inline void copy_box(const BoxCorner<const std::byte>& from, const BoxCorner<std::byte>& to,
                     const std::vector<std::int64_t>& box, std::size_t itemsize) {
  // Trailing axes that are whole in both arrays are part of one row.
  std::size_t axes = box.size();
  std::size_t row = itemsize;
  while (axes > 0) {
    --axes;
    row *= static_cast<std::size_t>(box[axes]);
    if (box[axes] != from.shape[axes] || box[axes] != to.shape[axes]) break;
  }
  if (row == 0) return;
  std::vector<std::int64_t> outer(box.begin(), box.begin() + static_cast<std::ptrdiff_t>(axes));
  const auto offset = [&](const auto& corner, const std::vector<std::int64_t>& index) {
    std::int64_t linear = 0;
    for (std::size_t i = 0; i < box.size(); ++i)
      linear = linear * corner.shape[i] + corner.origin[i] + (i < axes ? index[i] : 0);
    return static_cast<std::size_t>(linear) * itemsize;
  };
  for_each_index(outer, [&](const std::vector<std::int64_t>& index) {
    std::memcpy(to.data + offset(to, index), from.data + offset(from, index), row);
  });
}

}  // namespace flatfield::zarr
