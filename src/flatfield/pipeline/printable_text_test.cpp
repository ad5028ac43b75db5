#include "flatfield/pipeline/printable_text.h"

#include <gtest/gtest.h>

#include <string>

namespace flatfield::pipeline {
namespace {

TEST(PrintableText, has_spaces_for_control_characters) {
  EXPECT_EQ(printable(std::string("a\0b\nc\x1b[2J\x7f", 10)), "a b c [2J ");
}

TEST(PrintableText, keeps_what_is_beyond_ascii) { EXPECT_EQ(printable("\xc2\xb5m, z"), "\xc2\xb5m, z"); }

}  // namespace
}  // namespace flatfield::pipeline
