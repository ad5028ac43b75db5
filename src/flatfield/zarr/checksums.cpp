#include "flatfield/zarr/checksums.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"

namespace flatfield::zarr {
namespace {

using ConstBytes = std::span<const std::byte>;

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
