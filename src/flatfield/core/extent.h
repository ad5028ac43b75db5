#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

namespace flatfield {

/// Sizes or indices along the three spatial axes, always in the order z, y, x.
struct Extent3 {
  std::int64_t z = 0;
  std::int64_t y = 0;
  std::int64_t x = 0;

  friend bool operator==(const Extent3&, const Extent3&) = default;

  [[nodiscard]] std::int64_t operator[](int axis) const {
    return axis == 0 ? z : axis == 1 ? y : x;
  }
  [[nodiscard]] std::int64_t& operator[](int axis) { return axis == 0 ? z : axis == 1 ? y : x; }
  [[nodiscard]] bool empty() const { return z <= 0 || y <= 0 || x <= 0; }
  /// Number of voxels of a shape; 0 for an empty one.
  [[nodiscard]] std::int64_t volume() const { return empty() ? 0 : z * y * x; }
};

/// Memory of a volume of `shape`, of so many bytes for each voxel. Throws std::bad_alloc where no address is that far.
[[nodiscard]] inline std::size_t memory_of(const Extent3& shape, std::size_t voxel_bytes) {
  if (shape.empty()) return 0;
  std::ptrdiff_t bytes = 0;
  if (__builtin_mul_overflow(shape.z, shape.y, &bytes) || __builtin_mul_overflow(bytes, shape.x, &bytes) ||
      __builtin_mul_overflow(bytes, voxel_bytes, &bytes))
    throw std::bad_alloc();
  return static_cast<std::size_t>(bytes);
}

/// Applies `f(axis_value...)` to each axis of one or two extents.
template <class F>
[[nodiscard]] Extent3 map_axes(const Extent3& a, F f) {
  return {f(a.z), f(a.y), f(a.x)};
}
template <class F>
[[nodiscard]] Extent3 map_axes(const Extent3& a, const Extent3& b, F f) {
  return {f(a.z, b.z), f(a.y, b.y), f(a.x, b.x)};
}

[[nodiscard]] inline Extent3 operator+(const Extent3& a, const Extent3& b) {
  return {a.z + b.z, a.y + b.y, a.x + b.x};
}
[[nodiscard]] inline Extent3 operator-(const Extent3& a, const Extent3& b) {
  return {a.z - b.z, a.y - b.y, a.x - b.x};
}
[[nodiscard]] inline Extent3 operator*(const Extent3& a, std::int64_t f) {
  return {a.z * f, a.y * f, a.x * f};
}
[[nodiscard]] inline Extent3 operator*(const Extent3& a, const Extent3& b) {
  return {a.z * b.z, a.y * b.y, a.x * b.x};
}
/// Elementwise minimum.
[[nodiscard]] inline Extent3 min(const Extent3& a, const Extent3& b) {
  return {std::min(a.z, b.z), std::min(a.y, b.y), std::min(a.x, b.x)};
}
[[nodiscard]] inline Extent3 max(const Extent3& a, const Extent3& b) {
  return {std::max(a.z, b.z), std::max(a.y, b.y), std::max(a.x, b.x)};
}

/// ceil(a / b) for a >= 0, b > 0.
[[nodiscard]] constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}
[[nodiscard]] inline Extent3 ceil_div(const Extent3& a, const Extent3& b) {
  return {ceil_div(a.z, b.z), ceil_div(a.y, b.y), ceil_div(a.x, b.x)};
}
/// floor(a / b) per axis, for a >= 0, b > 0: the shape of the next pyramid level for b = 2.
[[nodiscard]] inline Extent3 floor_div(const Extent3& a, const Extent3& b) {
  return {a.z / b.z, a.y / b.y, a.x / b.x};
}
[[nodiscard]] inline Extent3 floor_div(const Extent3& a, std::int64_t b) {
  return {a.z / b, a.y / b, a.x / b};
}

/// A region in voxels: [origin, origin + shape).
struct Box3 {
  Extent3 origin;
  Extent3 shape;

  friend bool operator==(const Box3&, const Box3&) = default;
  [[nodiscard]] Extent3 end() const { return origin + shape; }
  [[nodiscard]] bool empty() const { return shape.empty(); }
};

/// The part of `a` that also lies in `b`; shape 0 on every axis if there is none.
[[nodiscard]] inline Box3 intersect(const Box3& a, const Box3& b) {
  const Extent3 lo = max(a.origin, b.origin);
  const Extent3 hi = min(a.end(), b.end());
  const Extent3 shape = hi - lo;
  if (shape.empty()) return {lo, {0, 0, 0}};
  return {lo, shape};
}

/// `box` with `halo` more voxels on every side, clipped to an array of `shape`.
[[nodiscard]] inline Box3 grown(const Box3& box, const Extent3& halo, const Extent3& shape) {
  return intersect({box.origin - halo, box.shape + halo * 2}, {{0, 0, 0}, shape});
}

/// The `index`-th tile of `tile` voxels, clipped to an array of `shape`.
[[nodiscard]] inline Box3 tile_box(const Extent3& index, const Extent3& tile, const Extent3& shape) {
  return intersect({index * tile, tile}, {{0, 0, 0}, shape});
}

/// Index of the `linear`-th element of a grid of `shape` in C order.
[[nodiscard]] inline Extent3 unravel(std::int64_t linear, const Extent3& shape) {
  const std::int64_t x = linear % shape.x;
  linear /= shape.x;
  return {linear / shape.y, linear % shape.y, x};
}

/// Its inverse.
[[nodiscard]] inline std::int64_t ravel(const Extent3& index, const Extent3& shape) {
  return (index.z * shape.y + index.y) * shape.x + index.x;
}

/// "(z, y, x)", for messages.
[[nodiscard]] inline std::string to_string(const Extent3& e) {
  std::string text = "(";
  text += std::to_string(e.z) + ", " + std::to_string(e.y) + ", " + std::to_string(e.x) + ")";
  return text;
}

}  // namespace flatfield
