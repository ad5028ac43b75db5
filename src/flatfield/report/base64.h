#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace flatfield::report {

/// Bytes as base64 (RFC 4648, with padding).
[[nodiscard]] std::string base64(std::span<const std::byte> bytes);

}  // namespace flatfield::report
