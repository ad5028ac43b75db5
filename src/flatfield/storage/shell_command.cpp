#include "flatfield/storage/shell_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

#include "flatfield/core/error.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::storage {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongestOutput = std::size_t{1} << 20U;
constexpr std::chrono::milliseconds kPauseOfWaiting{2};

/// The reading end of a pipe; closed at the end of its life.
struct Descriptor {
  int number = -1;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

/// Starts the shell in a process group of its own, with its output in `output`.
pid_t start(const std::string& command, int output, const std::string& what) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // What this program ignores the command would ignore too.
  sigset_t defaults;
  ::sigemptyset(&defaults);
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::sigaddset(&defaults, signal);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  std::array<char*, 4> arguments{const_cast<char*>("sh"), const_cast<char*>("-c"),
                                 const_cast<char*>(command.c_str()), nullptr};
  pid_t process = -1;
  const int failure =
      ::posix_spawn(&process, "/bin/sh", &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw_file_error(ErrorCode::kReadFailed, "start a command", what, failure);
  return process;
}

/// Waits for the end of a process, of which waitpid tells `status`; false where that has not come in time. Once a process
/// has closed its output nothing can be waited on that would tell of its end, so it is asked.
bool ends_before(pid_t process, Clock::time_point deadline, int& status) {
  for (;;) {
    const pid_t ended = ::waitpid(process, &status, WNOHANG);
    if (ended != 0 && (ended > 0 || errno != EINTR)) return true;
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPauseOfWaiting);
  }
}

}  // namespace

std::string run_shell_command(const std::string& command, double timeout_seconds,
                              const std::string& what) {
  const auto deadline =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_seconds));
  const std::string too_late = fmt::format("the command did not end within {:.0f} s", timeout_seconds);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw_file_error(ErrorCode::kReadFailed, "start a command", what, errno);
  const Descriptor reading{ends[0]};
  pid_t process = -1;
  {
    const Descriptor writing{ends[1]};
    process = start(command, writing.number, what);
  }
  std::string output;
  std::string failure;
  for (;;) {
    const double left = std::chrono::duration<double>(deadline - Clock::now()).count();
    pollfd waiting{reading.number, POLLIN, 0};
    const int ready = left <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(1e3 * left) + 1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      failure = too_late;
      break;
    }
    std::array<char, 4096> bytes;
    const ssize_t count = ::read(reading.number, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    output.append(bytes.data(), static_cast<std::size_t>(count));
    if (output.size() > kLongestOutput) {
      failure = "the command prints too much";
      break;
    }
  }
  int status = 0;
  if (failure.empty() && !ends_before(process, deadline, status)) failure = too_late;
  if (!failure.empty()) {
    ::kill(-process, SIGKILL);
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
  } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    failure = WIFEXITED(status)
                  ? fmt::format("the command ended with exit code {}", WEXITSTATUS(status))
                  : fmt::format("the command was ended by signal {}", WTERMSIG(status));
  }
  if (!failure.empty())
    throw Error(ErrorCode::kReadFailed, failure, what, "run it by hand to see why");
  return output;
}

}  // namespace flatfield::storage
