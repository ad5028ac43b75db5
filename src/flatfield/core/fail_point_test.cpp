#include "flatfield/core/fail_point.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace flatfield {
namespace {

void pass_a_b_a_b() {
  for (const char* name : {"a", "b", "a", "b"}) {
    fail_point(name);
    std::fputs(name, stderr);
  }
  std::exit(0);
}

TEST(FailPointDeathTest, kills_at_the_pass_that_was_asked_for) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";  // the variable is read once per process
  ::setenv("FLATFIELD_KILL_AT", "b:2", 1);
  EXPECT_EXIT(pass_a_b_a_b(), testing::KilledBySignal(SIGKILL), "^aba$");
  ::setenv("FLATFIELD_KILL_AT", "b:3", 1);
  EXPECT_EXIT(pass_a_b_a_b(), testing::ExitedWithCode(0), "abab");
  ::setenv("FLATFIELD_KILL_AT", "a:2:TERM", 1);
  EXPECT_EXIT(pass_a_b_a_b(), testing::KilledBySignal(SIGTERM), "^ab$");
  ::unsetenv("FLATFIELD_KILL_AT");
  EXPECT_EXIT(pass_a_b_a_b(), testing::ExitedWithCode(0), "abab");
}

}  // namespace
}  // namespace flatfield
