#pragma once

namespace flatfield {

/// From now on SIGINT and SIGTERM ask the process to stop where nothing is half done; the second of them ends it at
/// once, as it does without this. One that is ignored, as SIGINT is in the background of a script, stays so.
void catch_interruptions();

/// catch_interruptions() as long as it lives, for a program within another: then signals do again what they did before,
/// and a request is forgotten. The second signal does that at once, and a signal that was ignored stays so. Within another
/// one it does nothing. A process that is forked meanwhile is not asked to stop, and signals do there what they did before.
class CaughtInterruptions {
 public:
  CaughtInterruptions();
  ~CaughtInterruptions();
  CaughtInterruptions(const CaughtInterruptions&) = delete;
  CaughtInterruptions& operator=(const CaughtInterruptions&) = delete;

  /// Ends it early. True if a request came before signals did what they did before: none is lost between asking and ending.
  [[nodiscard]] bool release() noexcept;

 private:
  bool is_outermost_;
  bool is_held_ = true;
};

/// Whether the process has been asked to stop.
[[nodiscard]] bool interruption_requested() noexcept;

/// Throws Error(kInterrupted).
[[noreturn]] void throw_interrupted();

/// Throws Error(kInterrupted) if the process has been asked to stop.
void stop_if_interrupted();

}  // namespace flatfield
