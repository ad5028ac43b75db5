#include "flatfield/core/interruption.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "flatfield/core/error.h"

namespace flatfield {
namespace {

/// Exit code 3: the first signal was noted, and nothing else; 4: not.
void be_interrupted(int first, bool twice) {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);  // who runs the tests may ignore them
  catch_interruptions();
  stop_if_interrupted();
  std::raise(first);
  if (twice) std::raise(SIGTERM);
  try {
    stop_if_interrupted();
  } catch (const Error& error) {
    std::exit(error.code() == ErrorCode::kInterrupted && interruption_requested() ? 3 : 4);
  }
  std::exit(4);
}

TEST(InterruptionDeathTest, the_first_signal_is_a_request_and_the_second_ends_the_process) {
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(be_interrupted(signal, false), testing::ExitedWithCode(3), "");
    EXPECT_EXIT(be_interrupted(signal, true), testing::KilledBySignal(SIGTERM), "");
  }
}

/// Exit code 5: the signal that is ignored was no request, and the other one was.
void be_interrupted_in_the_background() {
  std::signal(SIGINT, SIG_IGN);
  catch_interruptions();
  std::raise(SIGINT);
  std::raise(SIGINT);
  if (interruption_requested()) std::exit(6);
  std::raise(SIGTERM);
  std::exit(interruption_requested() ? 5 : 6);
}

TEST(InterruptionDeathTest, a_signal_that_was_ignored_stays_so) {
  EXPECT_EXIT(be_interrupted_in_the_background(), testing::ExitedWithCode(5), "");
}

TEST(Interruption, is_forgotten_and_handled_as_before_when_it_was_caught_for_a_while) {
  static volatile std::sig_atomic_t others = 0;
  const auto before = std::signal(SIGTERM, [](int) { others = others + 1; });
  {
    const CaughtInterruptions caught;
    std::raise(SIGTERM);
    { const CaughtInterruptions within; }
    EXPECT_TRUE(interruption_requested());
    EXPECT_EQ(others, 0);
  }
  EXPECT_FALSE(interruption_requested());
  {
    CaughtInterruptions caught;
    std::raise(SIGTERM);
    CaughtInterruptions within;
    EXPECT_TRUE(within.release());
    EXPECT_TRUE(caught.release()) << "it came before the end";
    EXPECT_FALSE(caught.release());
    EXPECT_FALSE(interruption_requested());
    EXPECT_EQ(others, 0);
    EXPECT_FALSE(CaughtInterruptions().release());
  }
  std::raise(SIGTERM);
  EXPECT_EQ(others, 1);
  {
    const CaughtInterruptions caught;
    std::raise(SIGTERM);
    EXPECT_EQ(others, 1);
    std::raise(SIGTERM);
    EXPECT_EQ(others, 2) << "the second is theirs at once";
    EXPECT_TRUE(interruption_requested());
  }
  std::signal(SIGTERM, SIG_IGN);
  {
    const CaughtInterruptions caught;
    std::raise(SIGTERM);
    EXPECT_FALSE(interruption_requested());
  }
  std::signal(SIGTERM, before);
}

/// Ends a forked process by SIGTERM, or with a code that says what is wrong.
[[noreturn]] void end_as_a_child(CaughtInterruptions& of_parent) {
  if (interruption_requested()) ::_exit(3);
  {
    const CaughtInterruptions own;
    std::raise(SIGTERM);
    if (!interruption_requested()) ::_exit(4);
  }
  if (of_parent.release() || interruption_requested()) ::_exit(5);
  std::raise(SIGTERM);
  ::_exit(6);
}

TEST(Interruption, that_is_caught_for_a_while_is_not_caught_in_processes_that_are_forked_meanwhile) {
  const auto before = std::signal(SIGTERM, SIG_DFL);
  CaughtInterruptions caught;
  std::raise(SIGTERM);
  const pid_t child = ::fork();
  if (child == 0) end_as_a_child(caught);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, SIGTERM) << "as the system has it: killed by that signal";
  EXPECT_TRUE(caught.release());
  std::signal(SIGTERM, before);
}

}  // namespace
}  // namespace flatfield
