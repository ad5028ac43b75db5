#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define FLATFIELD_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLATFIELD_ADDRESS_SANITIZER 1
#endif
#endif

namespace flatfield {

/// Uninitialised memory of at least one byte, aligned to 64 bytes, for std::free. What is large lies in huge pages where
/// the system offers them: rows of a volume are thousands of bytes apart, so that each is in a page of its own. Throws
/// std::bad_alloc.
[[nodiscard]] void* allocate_memory(std::size_t bytes);

}  // namespace flatfield
