#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

namespace flatfield::test {

/// A program that serves this test while the object lives, and ends when its standard input does.
class ChildProgram {
 public:
  /// Starts it, with the test's error output, and waits for the first line it prints.
  explicit ChildProgram(std::vector<std::string> arguments) {
    std::array<int, 2> in{}, out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0)
      throw std::runtime_error("cannot make a pipe");
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    const int failure =
        ::posix_spawn(&process_, words.front(), &actions, nullptr, words.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    char c = 0;
    while (failure == 0 && ::read(out[0], &c, 1) == 1 && c != '\n') first_line_ += c;
    ::close(out[0]);
    if (first_line_.empty()) throw std::runtime_error("cannot start " + arguments.at(1));
  }
  ~ChildProgram() {
    ::close(input_);
    if (process_ > 0) ::waitpid(process_, nullptr, 0);
  }
  ChildProgram(const ChildProgram&) = delete;
  ChildProgram& operator=(const ChildProgram&) = delete;

  [[nodiscard]] const std::string& first_line() const { return first_line_; }

 private:
  pid_t process_ = -1;
  int input_ = -1;
  std::string first_line_;
};

}  // namespace flatfield::test
