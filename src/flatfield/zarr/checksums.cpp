#include "flatfield/zarr/checksums.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "flatfield/core/error.h"

namespace flatfield::zarr {
namespace {

using ConstBytes = std::span<const std::byte>;

/// Bytes that one step of crc32c takes.
constexpr std::size_t kStride = 8;
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

std::uint32_t read_little(ConstBytes bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < kChecksumBytes; ++i)
    value |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
  return value;
}

void require_checksum(ConstBytes encoded, std::string_view name) {
  if (encoded.size() < kChecksumBytes)
    throw Error(ErrorCode::kBadInput,
                fmt::format("{} bytes are too few to hold a {} checksum", encoded.size(), name));
}

ConstBytes checked(ConstBytes bytes, std::uint32_t stored, std::uint32_t computed,
                   std::string_view name) {
  if (stored != computed)
    throw Error(
        ErrorCode::kBadInput,
        fmt::format("the {} checksum is {:08x}, but the data have {:08x}", name, stored, computed));
  return bytes;
}

const Bytef* zlib_bytes(ConstBytes bytes) { return reinterpret_cast<const Bytef*>(bytes.data()); }

}  // namespace

std::uint32_t crc32c(ConstBytes bytes) {
  std::uint32_t crc = 0xffffffff;
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

ConstBytes check_crc32c_at_end(ConstBytes encoded, std::span<std::byte> /*room*/) {
  require_checksum(encoded, "crc32c");
  const ConstBytes bytes = encoded.first(encoded.size() - kChecksumBytes);
  return checked(bytes, read_little(encoded.last(kChecksumBytes)), crc32c(bytes), "crc32c");
}

ConstBytes check_crc32_at_start(ConstBytes encoded, std::span<std::byte> /*room*/) {
  require_checksum(encoded, "crc32");
  const ConstBytes bytes = encoded.subspan(kChecksumBytes);
  const auto computed = static_cast<std::uint32_t>(::crc32_z(0, zlib_bytes(bytes), bytes.size()));
  return checked(bytes, read_little(encoded), computed, "crc32");
}

ConstBytes check_adler32_at_start(ConstBytes encoded, std::span<std::byte> /*room*/) {
  require_checksum(encoded, "adler32");
  const ConstBytes bytes = encoded.subspan(kChecksumBytes);
  const auto computed = static_cast<std::uint32_t>(::adler32_z(1, zlib_bytes(bytes), bytes.size()));
  return checked(bytes, read_little(encoded), computed, "adler32");
}

void append_crc32c(const Compressor& /*compressor*/, std::size_t /*itemsize*/, ConstBytes raw,
                   Buffer& into) {
  const std::span<std::byte> encoded = into.resize(raw.size() + kChecksumBytes);
  std::copy(raw.begin(), raw.end(), encoded.begin());
  const std::uint32_t crc = crc32c(raw);
  for (std::size_t i = 0; i < kChecksumBytes; ++i)
    encoded[raw.size() + i] = static_cast<std::byte>(crc >> (8 * i));
}

}  // namespace flatfield::zarr
