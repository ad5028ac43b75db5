#include "flatfield/core/large_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "flatfield/core/buffer.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

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

#ifdef __SANITIZE_ADDRESS__
TEST(LargeMemory, what_a_buffer_was_not_asked_for_is_forbidden) {
  Buffer buffer;
  buffer.truncate(0);  // without memory
  buffer.resize(100);
  buffer.truncate(40);
  EXPECT_EQ(__asan_address_is_poisoned(buffer.data() + 39), 0);
  EXPECT_EQ(__asan_address_is_poisoned(buffer.data() + 40), 1);
  EXPECT_EQ(__asan_address_is_poisoned(buffer.data() + 127), 1);
  buffer.resize(48);
  EXPECT_EQ(__asan_address_is_poisoned(buffer.data() + 47), 0);
  EXPECT_EQ(__asan_address_is_poisoned(buffer.data() + 48), 1);
}
#endif

}  // namespace
}  // namespace flatfield
