#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace flatfield::storage {

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
using UnixSeconds = std::int64_t;

/// Now, by the clock of this machine.
[[nodiscard]] UnixSeconds unix_now();

/// "20150830T123600Z", as signatures have it.
[[nodiscard]] std::string basic_timestamp(UnixSeconds seconds);

/// From "2015-08-30T12:36:00Z" (with or without a fraction of a second, or with an offset instead
/// of Z: the expiration of credentials). None for anything else.
[[nodiscard]] std::optional<UnixSeconds> parse_iso_time(std::string_view text);

/// From "Sun, 30 Aug 2015 12:36:00 GMT", the Date header of HTTP. None for anything else.
[[nodiscard]] std::optional<UnixSeconds> parse_http_date(std::string_view text);

}  // namespace flatfield::storage
