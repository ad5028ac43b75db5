#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace flatfield::storage {

using Sha256 = std::array<std::byte, 32>;
using Md5 = std::array<std::byte, 16>;

// Digests by OpenSSL. All throw Error(kInternal) if the library refuses.

[[nodiscard]] Sha256 sha256(std::span<const std::byte> bytes);
[[nodiscard]] Sha256 hmac_sha256(std::span<const std::byte> key, std::string_view text);
/// For the headers of S3 that want it; protects nothing against an adversary.
[[nodiscard]] Md5 md5(std::span<const std::byte> bytes);

/// Lower-case hexadecimal digits.
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);
/// Base64 (RFC 4648, with padding).
[[nodiscard]] std::string to_base64(std::span<const std::byte> bytes);

}  // namespace flatfield::storage
