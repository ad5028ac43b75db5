#include "flatfield/core/bit_volume.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace flatfield {
namespace {

static_assert(std::endian::native == std::endian::little);

/// Eight voxels, 0 or 1, as the bytes of a word.
constexpr std::array<std::uint64_t, 256> kBytesOfBits = [] {
  std::array<std::uint64_t, 256> table{};
  for (std::size_t bits = 0; bits < table.size(); ++bits)
    for (std::size_t i = 0; i < 8; ++i) table[bits] |= ((bits >> i) & 1) << (8 * i);
  return table;
}();

/// The lowest bit of each byte, gathered: byte i becomes bit i. The product moves each to the highest byte,
/// and no two of its terms meet in a bit.
inline std::uint64_t bits_of_bytes(std::uint64_t bytes) {
  return (bytes * 0x0102040810204080ULL) >> 56;
}

/// Whether each of `count` (1..64) values is not 0.
template <class T>
std::uint64_t bits_of(const T* values, std::int64_t count) {
  std::array<std::uint8_t, 64> flags{};
  for (std::int64_t i = 0; i < count; ++i)
    flags[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(values[i] != T{0});
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    std::uint64_t bytes;
    std::memcpy(&bytes, flags.data() + 8 * i, 8);
    bits |= bits_of_bytes(bytes) << (8 * i);
  }
  return bits;
}

/// Calls f(x, count) for stretches of [begin, end) that end at words of the row, so that none spans two.
template <class F>
void for_each_stretch(std::int64_t first_bit, std::int64_t begin, std::int64_t end, F f) {
  for (std::int64_t x = begin; x < end;) {
    const std::int64_t count = std::min(64 - ((first_bit + x) & 63), end - x);
    if (!f(x, count)) return;
    x += count;
  }
}

}  // namespace

std::int64_t BitRow::find_set(std::int64_t x, std::int64_t end) const {
  std::int64_t found = end;
  for_each_stretch(first_, x, end, [&](std::int64_t at, std::int64_t count) {
    const std::uint64_t set = bits(at, count);
    if (set != 0) found = at + std::countr_zero(set);
    return set == 0;
  });
  return found;
}

std::int64_t BitRow::find_clear(std::int64_t x, std::int64_t end) const {
  std::int64_t found = end;
  for_each_stretch(first_, x, end, [&](std::int64_t at, std::int64_t count) {
    const std::uint64_t clear = ~bits(at, count) & low_bits(count);
    if (clear != 0) found = at + std::countr_zero(clear);
    return clear == 0;
  });
  return found;
}

std::int64_t BitRow::count_set(std::int64_t count) const {
  std::int64_t total = 0;
  for_each_stretch(first_, 0, count, [&](std::int64_t x, std::int64_t n) {
    total += std::popcount(bits(x, n));
    return true;
  });
  return total;
}

void BitRow::expand(std::int64_t count, std::uint8_t* out) const {
  std::int64_t x = 0;
  for (; x + 64 <= count; x += 64) {
    const std::uint64_t word = bits(x, 64);
    for (std::int64_t i = 0; i < 8; ++i)
      std::memcpy(out + x + 8 * i, &kBytesOfBits[(word >> (8 * i)) & 255], 8);
  }
  for (; x < count; ++x) out[x] = (*this)[x] ? 1 : 0;
}

std::int64_t BitView::count() const {
  std::int64_t total = 0;
  for (std::int64_t z = 0; z < shape.z; ++z)
    for (std::int64_t y = 0; y < shape.y; ++y) total += row(z, y).count_set(shape.x);
  return total;
}

bool BitView::any() const {
  for (std::int64_t z = 0; z < shape.z; ++z)
    for (std::int64_t y = 0; y < shape.y; ++y)
      if (row(z, y).find_set(0, shape.x) < shape.x) return true;
  return false;
}

void BitView::expand(BlockView<std::uint8_t> out) const {
  for (std::int64_t z = 0; z < shape.z; ++z)
    for (std::int64_t y = 0; y < shape.y; ++y) row(z, y).expand(shape.x, out.row(z, y));
}

BitVolume::BitVolume(const Extent3& shape, bool value)
    : shape_(shape),
      row_words_(ceil_div(shape.x, 64)),
      words_(static_cast<std::size_t>(bytes_of(shape) / 8)) {
  if (!value) return;
  for (std::int64_t z = 0; z < shape.z; ++z)
    for (std::int64_t y = 0; y < shape.y; ++y) fill(z, y, 0, shape.x, true);
}

BitVolume::BitVolume(BlockView<const std::uint8_t> voxels) : BitVolume(voxels.shape) {
  for (std::int64_t z = 0; z < shape_.z; ++z)
    for (std::int64_t y = 0; y < shape_.y; ++y) set_row(z, y, 0, voxels.row(z, y), shape_.x);
}

Block<std::uint8_t> BitVolume::expanded() const {
  Block<std::uint8_t> out(shape_);
  view().expand(out.view());
  return out;
}

void BitVolume::set_bits(std::int64_t z, std::int64_t y, std::int64_t x, std::int64_t count,
                         std::uint64_t bits) {
  std::uint64_t* word = row_words(z, y) + (x >> 6);
  const std::int64_t shift = x & 63;
  const std::uint64_t replaced = low_bits(count);
  word[0] = (word[0] & ~(replaced << shift)) | bits << shift;
  if (shift + count > 64)
    word[1] = (word[1] & ~(replaced >> (64 - shift))) | bits >> (64 - shift);
}

void BitVolume::fill(std::int64_t z, std::int64_t y, std::int64_t begin, std::int64_t end, bool value) {
  for_each_stretch(0, begin, end, [&](std::int64_t x, std::int64_t count) {
    set_bits(z, y, x, count, value ? low_bits(count) : 0);
    return true;
  });
}

template <class T>
void BitVolume::set_row(std::int64_t z, std::int64_t y, std::int64_t x, const T* values,
                        std::int64_t count) {
  for_each_stretch(0, x, x + count, [&](std::int64_t at, std::int64_t n) {
    set_bits(z, y, at, n, bits_of(values + (at - x), n));
    return true;
  });
}

template void BitVolume::set_row(std::int64_t, std::int64_t, std::int64_t, const std::uint8_t*,
                                 std::int64_t);
template void BitVolume::set_row(std::int64_t, std::int64_t, std::int64_t, const std::uint16_t*,
                                 std::int64_t);

void BitVolume::copy_row(std::int64_t from_z, std::int64_t from_y, std::int64_t z, std::int64_t y) {
  std::copy_n(row_words(from_z, from_y), row_words_, row_words(z, y));
}

void BitVolume::clear_where_zero(const Extent3& origin, BlockView<const float> values) {
  const Extent3& shape = values.shape;
  for (std::int64_t z = 0; z < shape.z; ++z)
    for (std::int64_t y = 0; y < shape.y; ++y) {
      const float* row = values.row(z, y);
      std::uint64_t* words = row_words(origin.z + z, origin.y + y);
      for_each_stretch(0, origin.x, origin.x + shape.x, [&](std::int64_t x, std::int64_t count) {
        std::uint64_t& word = words[x >> 6];
        const std::uint64_t inside = low_bits(count) << (x & 63);
        if ((word & inside) != 0) word &= ~inside | bits_of(row + (x - origin.x), count) << (x & 63);
        return true;
      });
    }
}

}  // namespace flatfield
