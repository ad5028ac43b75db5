#include "flatfield/storage/digest.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

namespace flatfield::storage {
namespace {

TEST(Digest, base64_encodes_the_vectors_of_its_standard) {
  const auto encoded = [](const std::string& text) { return to_base64(std::as_bytes(std::span(text))); };
  EXPECT_EQ(encoded(""), "");
  EXPECT_EQ(encoded("f"), "Zg==");
  EXPECT_EQ(encoded("fo"), "Zm8=");
  EXPECT_EQ(encoded("foo"), "Zm9v");
  EXPECT_EQ(encoded("foob"), "Zm9vYg==");
  EXPECT_EQ(encoded("fooba"), "Zm9vYmE=");
  EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encoded("\xff\xef\xbe"), "/+++");
}

}  // namespace
}  // namespace flatfield::storage
