#include "flatfield/core/large_memory.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <new>

// Here alone: a program may be built with other sanitizers than the library whose headers it includes.
#if defined(__SANITIZE_ADDRESS__)
#define FLATFIELD_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLATFIELD_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef FLATFIELD_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace flatfield {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
/// From here on memory comes from the system, not from the heap, and goes back to it (execution/allocator.cpp).
constexpr std::size_t kLarge = std::size_t{4} << 20;

}  // namespace

void* allocate_memory(std::size_t bytes) {
#ifdef FLATFIELD_ADDRESS_SANITIZER
  constexpr std::size_t alignment = kLine;  // what is touched behind the end must not be of a rest of a page
#else
  const std::size_t alignment = bytes < kLarge ? kLine : kHugePage;
#endif
  void* const memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  // Only pages that are filled: the peak of memory stays that of the bytes. A system that has none does as before.
  if (alignment == kHugePage) static_cast<void>(madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE));
#endif
  return memory;
}

void forbid_beyond([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t size,
                   [[maybe_unused]] std::size_t capacity) noexcept {
#ifdef FLATFIELD_ADDRESS_SANITIZER
  if (capacity == 0) return;
  __asan_unpoison_memory_region(memory, size);
  __asan_poison_memory_region(memory + size, (capacity + kLine - 1) / kLine * kLine - size);
#endif
}

}  // namespace flatfield
