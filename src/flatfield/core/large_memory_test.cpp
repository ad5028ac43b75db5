#include "flatfield/core/large_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace flatfield {
namespace {

TEST(LargeMemory, is_aligned_and_as_large_as_asked_for) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{65}, (std::size_t{4} << 20) - 1, std::size_t{4} << 20,
                                  (std::size_t{9} << 20) + 7}) {
    void* const memory = allocate_memory(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 64, 0U);
    std::memset(memory, 1, bytes);
    std::free(memory);
  }
}

}  // namespace
}  // namespace flatfield
