#pragma once

#include <cstddef>

namespace flatfield {

/// Uninitialised memory of at least one byte, aligned to 64 bytes, for std::free. What is large lies in huge pages where
/// the system offers them: rows of a volume are thousands of bytes apart, so that each is in a page of its own. Throws
/// std::bad_alloc.
[[nodiscard]] void* allocate_memory(std::size_t bytes);

/// Lets AddressSanitizer see what touches more than the first `size` of the `capacity` bytes that allocate_memory gave. Does
/// nothing where the library is built without it, or where there are no bytes.
void forbid_beyond(const std::byte* memory, std::size_t size, std::size_t capacity) noexcept;

}  // namespace flatfield
