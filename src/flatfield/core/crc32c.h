#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace flatfield {

/// CRC-32C (Castagnoli) as in RFC 3720: "123456789" gives 0xE3069283. `before` is the checksum of the bytes
/// before these, so that crc32c(b, crc32c(a)) is that of a and b together.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);
/// The same without the instruction that most CPUs have for it; for others, and for tests.
[[nodiscard]] std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace flatfield
