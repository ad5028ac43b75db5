#pragma once

#include <cstdint>
#include <functional>

namespace flatfield::storage {

/// Runs `body(i)` once for each i in [0, count) on at most `threads` threads, the calling one among
/// them, which mostly wait for a server; on fewer where no more can be started. Returns when all
/// have ended; after an exception no new ones begin, and the first (by index) is rethrown. The
/// threads charge their time as the caller does.
void fan_out(std::int64_t count, int threads, const std::function<void(std::int64_t)>& body);

}  // namespace flatfield::storage
