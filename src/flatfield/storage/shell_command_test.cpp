#include "flatfield/storage/shell_command.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::storage {
namespace {

/// What is said of a command that must not end well.
std::string failure_of(const std::string& command, double timeout_seconds) {
  try {
    static_cast<void>(run_shell_command(command, timeout_seconds, "a test"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kReadFailed);
    EXPECT_EQ(error.where(), "a test");
    return error.message();
  }
  return "none";
}

TEST(ShellCommand, is_done_when_it_has_ended_and_not_when_it_has_closed_its_output) {
  EXPECT_EQ(run_shell_command("echo a; echo b", 60, "a test"), "a\nb\n");
  EXPECT_EQ(run_shell_command("echo a; exec >&-; sleep 0.1", 60, "a test"), "a\n");
  EXPECT_EQ(failure_of("echo a; exec >&-; sleep 0.1; exit 3", 60), "the command ended with exit code 3");
  EXPECT_EQ(failure_of("kill -9 $$", 60), "the command was ended by signal 9");
}

TEST(ShellCommand, is_ended_by_a_signal_that_this_program_ignores) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(failure_of("kill -13 $$", 60), "the command was ended by signal 13");
  std::signal(SIGPIPE, before);
}

TEST(ShellCommand, that_does_not_end_in_time_is_ended_whether_its_output_is_open_or_not) {
  for (const char* command : {"sleep 60", "exec >&-; sleep 60", "echo a; exec >&-; sleep 60"})
    EXPECT_EQ(failure_of(command, 1), "the command did not end within 1 s") << command;
}

}  // namespace
}  // namespace flatfield::storage
