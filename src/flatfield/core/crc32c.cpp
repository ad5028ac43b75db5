#include "flatfield/core/crc32c.h"

#include <array>
#include <cstring>

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

/// Goes on from the register `crc`, by the tables.
std::uint32_t update_by_tables(std::uint32_t crc, std::span<const std::byte> bytes) {
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
  return crc;
}

#if defined(__x86_64__)

/// Bytes of each of three neighbouring pieces whose checksums are computed side by side: the instruction takes one cycle to
/// begin and three to end.
constexpr std::size_t kPiece = 1024;

/// What a register becomes after kPiece bytes of 0, by each of its bytes.
using Shift = std::array<std::array<std::uint32_t, 256>, kChecksumBytes>;

Shift make_shift() {
  std::array<std::uint32_t, 32> of_bit{};
  for (std::size_t bit = 0; bit < of_bit.size(); ++bit) {
    std::uint32_t crc = std::uint32_t{1} << bit;
    for (std::size_t i = 0; i < kPiece; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xff];
    of_bit[bit] = crc;
  }
  Shift shift{};
  for (std::size_t k = 0; k < kChecksumBytes; ++k)
    for (std::uint32_t byte = 0; byte < 256; ++byte)
      for (std::size_t bit = 0; bit < 8; ++bit)
        if (((byte >> bit) & 1) != 0) shift[k][byte] ^= of_bit[8 * k + bit];
  return shift;
}

/// The same by the instruction of SSE 4.2.
__attribute__((target("sse4.2"))) std::uint32_t update_by_instruction(std::uint32_t crc,
                                                                     std::span<const std::byte> bytes) {
  static const Shift shift = make_shift();
  const auto shifted = [](std::uint32_t c) {
    return shift[0][c & 0xff] ^ shift[1][(c >> 8) & 0xff] ^ shift[2][(c >> 16) & 0xff] ^ shift[3][c >> 24];
  };
  const std::byte* from = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 3 * kPiece; left -= 3 * kPiece, from += 3 * kPiece) {
    std::uint64_t first = crc;
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kPiece; i += 8) {
      std::array<std::uint64_t, 3> words;
      std::memcpy(&words[0], from + i, 8);
      std::memcpy(&words[1], from + kPiece + i, 8);
      std::memcpy(&words[2], from + 2 * kPiece + i, 8);
      first = __builtin_ia32_crc32di(first, words[0]);
      second = __builtin_ia32_crc32di(second, words[1]);
      third = __builtin_ia32_crc32di(third, words[2]);
    }
    crc = shifted(static_cast<std::uint32_t>(first)) ^ static_cast<std::uint32_t>(second);
    crc = shifted(crc) ^ static_cast<std::uint32_t>(third);
  }
  for (; left >= 8; left -= 8, from += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, 8);
    crc = static_cast<std::uint32_t>(__builtin_ia32_crc32di(crc, word));
  }
  for (; left > 0; --left, ++from) crc = __builtin_ia32_crc32qi(crc, std::to_integer<unsigned char>(*from));
  return crc;
}

#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2") != 0) return ~update_by_instruction(~before, bytes);
#endif
  return ~update_by_tables(~before, bytes);
}

std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t before) {
  return ~update_by_tables(~before, bytes);
}

}  // namespace flatfield
