#include "flatfield/core/large_memory.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <new>

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

}  // namespace flatfield
