#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "flatfield/core/extent.h"
#include "flatfield/core/large_memory.h"

namespace flatfield {

/// Borrowed voxels of a box in memory: rows along x are contiguous, rows and
/// planes may be strided. Strides count elements, not bytes.
template <class T>
struct BlockView {
  T* data = nullptr;
  Extent3 shape;
  std::int64_t stride_z = 0;
  std::int64_t stride_y = 0;

  BlockView() = default;
  /// Contiguous view in C order.
  BlockView(T* first, const Extent3& view_shape)
      : data(first), shape(view_shape), stride_z(view_shape.y * view_shape.x), stride_y(view_shape.x) {}
  BlockView(T* first, const Extent3& view_shape, std::int64_t plane_stride, std::int64_t row_stride)
      : data(first), shape(view_shape), stride_z(plane_stride), stride_y(row_stride) {}
  /// A mutable view reads as a const one.
  template <class U>
    requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>)
  BlockView(const BlockView<U>& other)  // NOLINT(google-explicit-constructor)
      : data(other.data), shape(other.shape), stride_z(other.stride_z), stride_y(other.stride_y) {}

  [[nodiscard]] T* row(std::int64_t z, std::int64_t y) const {
    return data + z * stride_z + y * stride_y;
  }
  [[nodiscard]] T& at(std::int64_t z, std::int64_t y, std::int64_t x) const { return row(z, y)[x]; }
  [[nodiscard]] std::int64_t size() const { return shape.volume(); }
  [[nodiscard]] bool contiguous() const {
    return (shape.y <= 1 || stride_y == shape.x) && (shape.z <= 1 || stride_z == shape.y * shape.x);
  }
  /// View of a box that lies within this view.
  [[nodiscard]] BlockView sub(const Box3& box) const {
    return {row(box.origin.z, box.origin.y) + box.origin.x, box.shape, stride_z, stride_y};
  }
  /// All elements as one span; only for a contiguous view.
  [[nodiscard]] std::span<T> span() const { return {data, static_cast<std::size_t>(size())}; }
};

/// Owned voxels of a box, contiguous in C order, aligned to 64 bytes.
/// A plane is a Block with shape.z == 1.
template <class T>
class Block {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Block() = default;
  /// Uninitialised voxels. Throws std::bad_alloc.
  explicit Block(const Extent3& shape) : shape_(shape) {
    const std::size_t bytes = memory_of(shape, sizeof(T));
    if (bytes == 0) return;
    data_.reset(static_cast<T*>(allocate_memory(bytes)));
  }
  Block(const Extent3& shape, T value) : Block(shape) {
    for (T& v : span()) v = value;
  }
  Block(Block&& other) noexcept
      : shape_(std::exchange(other.shape_, Extent3{})), data_(std::move(other.data_)) {}
  Block& operator=(Block&& other) noexcept {
    shape_ = std::exchange(other.shape_, Extent3{});
    data_ = std::move(other.data_);
    return *this;
  }

  /// Copying voxels is never implicit.
  [[nodiscard]] Block clone() const {
    Block copy(shape_);
    std::copy_n(data_.get(), size(), copy.data_.get());
    return copy;
  }

  [[nodiscard]] const Extent3& shape() const { return shape_; }
  [[nodiscard]] std::int64_t size() const { return shape_.volume(); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] T* data() { return data_.get(); }
  [[nodiscard]] const T* data() const { return data_.get(); }
  [[nodiscard]] std::span<T> span() { return {data_.get(), static_cast<std::size_t>(size())}; }
  [[nodiscard]] std::span<const T> span() const {
    return {data_.get(), static_cast<std::size_t>(size())};
  }
  [[nodiscard]] BlockView<T> view() { return {data_.get(), shape_}; }
  [[nodiscard]] BlockView<const T> view() const { return {data_.get(), shape_}; }
  [[nodiscard]] T& at(std::int64_t z, std::int64_t y, std::int64_t x) {
    return data_.get()[(z * shape_.y + y) * shape_.x + x];
  }
  [[nodiscard]] const T& at(std::int64_t z, std::int64_t y, std::int64_t x) const {
    return data_.get()[(z * shape_.y + y) * shape_.x + x];
  }
  /// The plane at `z` as (1, y, x).
  [[nodiscard]] BlockView<T> plane(std::int64_t z) { return view().sub(plane_box(z)); }
  [[nodiscard]] BlockView<const T> plane(std::int64_t z) const { return view().sub(plane_box(z)); }

 private:
  struct Free {
    void operator()(T* p) const noexcept { std::free(p); }
  };
  [[nodiscard]] Box3 plane_box(std::int64_t z) const {
    return {{z, 0, 0}, {1, shape_.y, shape_.x}};
  }

  Extent3 shape_;
  std::unique_ptr<T[], Free> data_;
};

/// Copies voxels between views of one shape.
template <class T>
void copy_block(std::type_identity_t<BlockView<const T>> from, BlockView<T> to) {
  for (std::int64_t z = 0; z < to.shape.z; ++z)
    for (std::int64_t y = 0; y < to.shape.y; ++y)
      std::copy_n(from.row(z, y), to.shape.x, to.row(z, y));
}

}  // namespace flatfield
