#include "flatfield/core/crc32c.h"

#include <array>

namespace flatfield {
namespace {

/// Bytes that one step takes.
constexpr std::size_t kStride = 8;
constexpr std::size_t kChecksumBytes = 4;
using Tables = std::array<std::array<std::uint32_t, 256>, kStride>;

/// tables[k][b] is the checksum of the byte b that k zero bytes follow ("slicing by 8", Kounavis
/// and Berry 2005).
constexpr Tables make_tables() {
  constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, bits reversed
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < kStride; ++k)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  for (; bytes.size() >= kStride; bytes = bytes.subspan(kStride)) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < kStride; ++i) {
      const std::uint32_t carried = i < kChecksumBytes ? (crc >> (8 * i)) & 0xff : 0;
      next ^= kTables[kStride - 1 - i][byte(i) ^ carried];
    }
    crc = next;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i)
    crc = (crc >> 8) ^ kTables[0][(crc ^ byte(i)) & 0xff];
  return ~crc;
}

}  // namespace flatfield
