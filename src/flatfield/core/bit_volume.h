#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/extent.h"

namespace flatfield {

/// The `count` lowest bits of a word; count 0..64.
[[nodiscard]] constexpr std::uint64_t low_bits(std::int64_t count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

/// Borrowed bits of a row along x, which may begin anywhere in a word.
class BitRow {
 public:
  BitRow() = default;
  BitRow(const std::uint64_t* words, std::int64_t first_bit) : words_(words), first_(first_bit) {}

  [[nodiscard]] bool operator[](std::int64_t x) const {
    const std::int64_t bit = first_ + x;
    return ((words_[bit >> 6] >> (bit & 63)) & 1) != 0;
  }
  [[nodiscard]] BitRow operator+(std::int64_t x) const { return {words_, first_ + x}; }
  /// The voxels [x, x + count) as the low bits of a word, the others 0; count 1..64.
  [[nodiscard]] std::uint64_t bits(std::int64_t x, std::int64_t count) const {
    const std::int64_t bit = first_ + x;
    const std::uint64_t* word = words_ + (bit >> 6);
    const std::int64_t shift = bit & 63;
    std::uint64_t found = *word >> shift;
    if (shift + count > 64) found |= word[1] << (64 - shift);
    return found & low_bits(count);
  }
  /// First voxel in [x, end) that is set, or that is clear; `end` if there is none.
  [[nodiscard]] std::int64_t find_set(std::int64_t x, std::int64_t end) const;
  [[nodiscard]] std::int64_t find_clear(std::int64_t x, std::int64_t end) const;
  /// How many of the voxels [0, count) are set.
  [[nodiscard]] std::int64_t count_set(std::int64_t count) const;
  /// Writes the voxels [0, count) as 0 and 1.
  void expand(std::int64_t count, std::uint8_t* out) const;

 private:
  const std::uint64_t* words_ = nullptr;
  std::int64_t first_ = 0;
};

/// Borrowed voxels of a box of a BitVolume, like a BlockView.
struct BitView {
  const std::uint64_t* words = nullptr;
  Extent3 shape;
  std::int64_t stride_z = 0;  ///< in words
  std::int64_t stride_y = 0;  ///< in words
  std::int64_t first_bit = 0;

  [[nodiscard]] BitRow row(std::int64_t z, std::int64_t y) const {
    return {words + z * stride_z + y * stride_y, first_bit};
  }
  [[nodiscard]] bool at(std::int64_t z, std::int64_t y, std::int64_t x) const { return row(z, y)[x]; }
  [[nodiscard]] std::int64_t size() const { return shape.volume(); }
  /// View of a box that lies within this view.
  [[nodiscard]] BitView sub(const Box3& box) const {
    return {words + box.origin.z * stride_z + box.origin.y * stride_y, box.shape, stride_z, stride_y,
            first_bit + box.origin.x};
  }
  /// Number of voxels that are set.
  [[nodiscard]] std::int64_t count() const;
  /// Whether a voxel is set.
  [[nodiscard]] bool any() const;
  /// Writes the voxels as 0 and 1; `out` has the shape of the view.
  void expand(BlockView<std::uint8_t> out) const;
};

/// Owned voxels of a box that are 0 or 1, one bit each: an eighth of the bytes of a Block<uint8_t>. A row
/// along x begins at a word of its own, so threads may write different rows at the same time; the bits
/// behind a row's last voxel are 0.
class BitVolume {
 public:
  BitVolume() = default;
  /// All voxels `value`. Throws std::bad_alloc.
  explicit BitVolume(const Extent3& shape, bool value = false);
  /// The voxels that are not 0.
  explicit BitVolume(BlockView<const std::uint8_t> voxels);
  BitVolume(BitVolume&& other) noexcept
      : shape_(std::exchange(other.shape_, Extent3{})),
        row_words_(std::exchange(other.row_words_, 0)),
        words_(std::exchange(other.words_, {})) {}
  BitVolume& operator=(BitVolume&& other) noexcept {
    shape_ = std::exchange(other.shape_, Extent3{});
    row_words_ = std::exchange(other.row_words_, 0);
    words_ = std::exchange(other.words_, {});
    return *this;
  }

  /// Memory of a volume of `shape`. Throws std::bad_alloc where no address is that far.
  [[nodiscard]] static std::int64_t bytes_of(const Extent3& shape) {
    return static_cast<std::int64_t>(memory_of({shape.z, shape.y, ceil_div(shape.x, 64)}, 8));
  }

  /// Copying voxels is never implicit.
  [[nodiscard]] BitVolume clone() const { return *this; }
  friend bool operator==(const BitVolume&, const BitVolume&) = default;

  [[nodiscard]] const Extent3& shape() const { return shape_; }
  [[nodiscard]] std::int64_t size() const { return shape_.volume(); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] BitView view() const {
    return {words_.data(), shape_, shape_.y * row_words_, row_words_, 0};
  }
  /// All voxels, row by row.
  [[nodiscard]] std::span<std::uint64_t> words() { return words_; }
  [[nodiscard]] std::span<const std::uint64_t> words() const { return words_; }
  [[nodiscard]] BitRow row(std::int64_t z, std::int64_t y) const { return view().row(z, y); }
  [[nodiscard]] bool at(std::int64_t z, std::int64_t y, std::int64_t x) const { return row(z, y)[x]; }
  [[nodiscard]] std::int64_t count() const { return view().count(); }
  /// The voxels as 0 and 1.
  [[nodiscard]] Block<std::uint8_t> expanded() const;

  /// Replaces `count` (1..64) voxels from x on by the low bits of `bits`; the others of these must be 0.
  void set_bits(std::int64_t z, std::int64_t y, std::int64_t x, std::int64_t count, std::uint64_t bits);
  void set(std::int64_t z, std::int64_t y, std::int64_t x, bool value) {
    set_bits(z, y, x, 1, value ? 1 : 0);
  }
  /// Sets the voxels [begin, end) of a row to one value.
  void fill(std::int64_t z, std::int64_t y, std::int64_t begin, std::int64_t end, bool value);
  /// Sets `count` voxels from x on to whether a value is not 0.
  template <class T>
  void set_row(std::int64_t z, std::int64_t y, std::int64_t x, const T* values, std::int64_t count);
  /// Replaces a row by another of the volume.
  void copy_row(std::int64_t from_z, std::int64_t from_y, std::int64_t z, std::int64_t y);
  /// Clears the voxels of a box, which begins at `origin`, where `values` are 0. Boxes of different rows
  /// may be cleared at the same time.
  void clear_where_zero(const Extent3& origin, BlockView<const float> values);

 private:
  BitVolume(const BitVolume&) = default;

  [[nodiscard]] std::uint64_t* row_words(std::int64_t z, std::int64_t y) {
    return words_.data() + (z * shape_.y + y) * row_words_;
  }

  Extent3 shape_;
  std::int64_t row_words_ = 0;
  std::vector<std::uint64_t> words_;
};

extern template void BitVolume::set_row(std::int64_t, std::int64_t, std::int64_t, const std::uint8_t*,
                                        std::int64_t);
extern template void BitVolume::set_row(std::int64_t, std::int64_t, std::int64_t, const std::uint16_t*,
                                        std::int64_t);

}  // namespace flatfield
