#include "flatfield/execution/allocator.h"

#include <malloc.h>

namespace flatfield::execution {

void settle_allocator() {
#ifdef __GLIBC__
  // Blosc takes up to about 3 MiB for each block, and zstd its context. Voxels come in larger pieces.
  constexpr int kLargeBytes = 4 << 20;
  constexpr int kKeptBytes = 16 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
#endif
}

}  // namespace flatfield::execution
