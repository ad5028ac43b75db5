#include "flatfield/zarr/axis_order.h"

#include <algorithm>
#include <array>
#include <type_traits>

namespace flatfield::zarr {
namespace {

/// Tiles that a plane is transposed by. Few columns: the strides of chunks are often powers of two,
/// so that a column of lines competes for the 8 places of one set of the L1 cache.
constexpr std::int64_t kTileRows = 32;
constexpr std::int64_t kTileColumns = 8;

/// An element as bytes: voxels are moved, never looked at.
template <std::size_t N>
struct Element {
  std::array<std::byte, N> bytes;
};

/// One axis of the array that is made, with its strides in elements.
struct Axis {
  std::int64_t size = 1;
  std::int64_t from_stride = 1;
  std::int64_t to_stride = 1;
};

/// The axes that matter, in the order of `to`: those of one element are left out, and those that
/// stay side by side are one.
std::vector<Axis> real_axes(const std::vector<std::int64_t>& shape, const std::vector<int>& order) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  std::vector<Axis> axes;
  std::int64_t to_stride = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    const auto from = static_cast<std::size_t>(order[i]);
    if (shape[from] == 1) continue;
    if (!axes.empty() && strides[from] == axes.back().from_stride * axes.back().size)
      axes.back().size *= shape[from];
    else
      axes.push_back({shape[from], strides[from], to_stride});
    to_stride *= shape[from];
  }
  std::reverse(axes.begin(), axes.end());
  return axes;
}

/// to[r * to_stride + c] = from[c * from_stride + r] for r < rows, c < columns.
template <class T>
void transpose_plane(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride,
                     std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r0 = 0; r0 < rows; r0 += kTileRows)
    for (std::int64_t c0 = 0; c0 < columns; c0 += kTileColumns) {
      const std::int64_t r1 = std::min(r0 + kTileRows, rows);
      const std::int64_t c1 = std::min(c0 + kTileColumns, columns);
      for (std::int64_t r = r0; r < r1; ++r)
        for (std::int64_t c = c0; c < c1; ++c) to[r * to_stride + c] = from[c * from_stride + r];
    }
}

/// Calls `visit(from, to)` with the place of every index of `axes`.
template <class Visit>
void for_each_place(const std::vector<Axis>& axes, std::size_t depth, std::int64_t from,
                    std::int64_t to, const Visit& visit) {
  if (depth == axes.size()) return visit(from, to);
  for (std::int64_t i = 0; i < axes[depth].size; ++i)
    for_each_place(axes, depth + 1, from + i * axes[depth].from_stride,
                   to + i * axes[depth].to_stride, visit);
}

template <class T>
void permute(const T* from, T* to, std::vector<Axis> axes) {
  if (axes.empty()) {
    *to = *from;
    return;
  }
  const Axis row = axes.back();  // contiguous in `to`
  axes.pop_back();
  if (row.from_stride == 1) {
    for_each_place(axes, 0, 0, 0, [&](std::int64_t f, std::int64_t t) {
      std::copy_n(from + f, row.size, to + t);
    });
    return;
  }
  // Together with the axis that is contiguous in `from` the rows make planes.
  const auto contiguous = std::find_if(axes.begin(), axes.end(),
                                       [](const Axis& axis) { return axis.from_stride == 1; });
  const Axis column = *contiguous;
  axes.erase(contiguous);
  for_each_place(axes, 0, 0, 0, [&](std::int64_t f, std::int64_t t) {
    transpose_plane(from + f, row.from_stride, to + t, column.to_stride, column.size, row.size);
  });
}

}  // namespace

void permute_axes(std::span<const std::byte> from, std::span<std::byte> to,
                  const std::vector<std::int64_t>& shape, const std::vector<int>& order,
                  std::size_t itemsize) {
  if (from.empty()) return;
  const auto run = [&]<std::size_t N>(std::integral_constant<std::size_t, N>) {
    permute(reinterpret_cast<const Element<N>*>(from.data()),
            reinterpret_cast<Element<N>*>(to.data()), real_axes(shape, order));
  };
  switch (itemsize) {
    case 1: return run(std::integral_constant<std::size_t, 1>{});
    case 2: return run(std::integral_constant<std::size_t, 2>{});
    case 4: return run(std::integral_constant<std::size_t, 4>{});
    case 8: return run(std::integral_constant<std::size_t, 8>{});
    default: return run(std::integral_constant<std::size_t, 16>{});
  }
}

std::vector<int> inverse_order(const std::vector<int>& order) {
  std::vector<int> inverse(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
  return inverse;
}

std::vector<std::int64_t> permuted_shape(const std::vector<std::int64_t>& shape,
                                         const std::vector<int>& order) {
  std::vector<std::int64_t> permuted;
  permuted.reserve(order.size());
  for (const int axis : order) permuted.push_back(shape[static_cast<std::size_t>(axis)]);
  return permuted;
}

bool keeps_places(const std::vector<std::int64_t>& shape, const std::vector<int>& order) {
  return real_axes(shape, order).size() <= 1;
}

}  // namespace flatfield::zarr
