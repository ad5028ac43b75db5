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

}  // namespace
}  // namespace flatfield
