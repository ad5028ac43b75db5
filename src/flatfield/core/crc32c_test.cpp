#include "flatfield/core/crc32c.h"

#include <gtest/gtest.h>

#include "flatfield/core/buffer.h"

namespace flatfield {
namespace {

TEST(Crc32c, of_pieces_is_that_of_the_whole) {
  std::mt19937 random(7);  // the seed of every run
  std::vector<std::byte> bytes(1000);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  const std::span<const std::byte> all(bytes);
  for (const std::size_t cut : {0, 1, 7, 8, 9, 500, 999, 1000})
    EXPECT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), crc32c(all)) << cut;
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283);
}

TEST(Crc32c, is_the_same_with_and_without_the_instruction_of_the_cpu) {
  std::mt19937 random(11);  // the seed of every run
  std::vector<std::byte> bytes(20000);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  for (int round = 0; round < 300; ++round) {
    const std::size_t first = random() % 20;
    const std::size_t size = round % 2 == 0 ? random() % 40 : random() % (bytes.size() - first);
    const std::span<const std::byte> part = std::span<const std::byte>(bytes).subspan(first, size);
    const auto before = static_cast<std::uint32_t>(random());
    ASSERT_EQ(crc32c(part, before), crc32c_by_tables(part, before)) << first << " " << size;
  }
}

}  // namespace
}  // namespace flatfield
