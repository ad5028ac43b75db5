#include "flatfield/zarr/checksums.h"

#include <gtest/gtest.h>

#include <random>

#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"

namespace flatfield::zarr {
namespace {

using Bytes = std::vector<std::byte>;

/// The definition, one bit after the other.
std::uint32_t naive_crc32c(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

TEST(Crc32c, is_that_of_the_rfc) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283);
  EXPECT_EQ(crc32c({}), 0U);
  EXPECT_EQ(crc32c(Bytes(32)), 0x8a9136aa);  // RFC 3720, B.4
}

TEST(Crc32c, agrees_with_the_definition_for_random_bytes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    Bytes bytes(random() % 100);
    for (auto& byte : bytes) byte = static_cast<std::byte>(random());
    ASSERT_EQ(crc32c(bytes), naive_crc32c(bytes)) << bytes.size();
  }
}

TEST(Crc32c, is_appended_in_little_endian_order_and_taken_off_again) {
  Buffer into;
  append_crc32c({"crc32c"}, 1, as_bytes("123456789"), into);
  EXPECT_EQ(into.text(), "123456789\x83\x92\x06\xe3");
  const auto decoded = check_crc32c_at_end(into.span(), {});
  EXPECT_EQ(decoded.size(), 9U);
  EXPECT_EQ(decoded.data(), into.data());
}

TEST(Checksums, crc32_and_adler32_stand_before_the_bytes) {
  // numcodecs.CRC32().encode(b"123456789") and numcodecs.Adler32()
  EXPECT_EQ(check_crc32_at_start(as_bytes("\x26\x39\xf4\xcb"
                                          "123456789"),
                                 {})
                .size(),
            9U);
  EXPECT_EQ(check_adler32_at_start(as_bytes("\xde\x01\x1e\x09"
                                            "123456789"),
                                   {})
                .size(),
            9U);
}

TEST(Checksums, refuse_data_that_are_not_theirs) {
  for (const auto check : {check_crc32c_at_end, check_crc32_at_start, check_adler32_at_start})
    for (const std::string_view text : {"", "abc", "123456789abcd"}) {
      try {
        (void)check(as_bytes(text), {});
        ADD_FAILURE() << text;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      }
    }
}

}  // namespace
}  // namespace flatfield::zarr
