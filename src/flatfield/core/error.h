#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace flatfield {

/// What kind of thing went wrong. Each code is one documented exit code of the
/// command line (see `exit_code`), so that a batch system can tell them apart.
enum class ErrorCode {
  kInternal,      ///< a defect of this program
  kUsage,         ///< an option or a configuration key is unknown or out of range
  kNotFound,      ///< an input that was named does not exist
  kBadInput,      ///< an input exists but is corrupt, or is not what it claims to be
  kUnsupported,   ///< an input is valid but uses a feature this program does not read
  kOutputExists,  ///< the output is already there and `--overwrite` was not given
  kWriteFailed,   ///< the output cannot be written: no space, no permission, I/O error
  kReadFailed,    ///< an existing input cannot be read: permission, I/O error
  kMemory,        ///< the work cannot fit into the memory that may be used, or there are no more threads
  kQualityFailed,  ///< the quality numbers of a tile fail and --on-qc-fail is "error"
  kTilesFailed,   ///< some tiles of a batch failed; the report says which and why
  kInterrupted,   ///< the run was asked to stop
};

/// The one error that every part of this library throws.
///
/// `what()` is a single line in the form "what: where: what to do".
class Error : public std::runtime_error {
 public:
  /// `what` says what was expected and found; `where` names the file, key or
  /// option; `remedy` says what to do about it. The last two may be empty.
  Error(ErrorCode code, std::string_view what, std::string_view where = {},
        std::string_view remedy = {});

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }

 private:
  ErrorCode code_;
  std::string message_;
  std::string where_;
  std::string remedy_;
};

/// Short stable name of a code, e.g. "bad_input"; used in JSON events and reports.
[[nodiscard]] std::string_view error_code_name(ErrorCode code) noexcept;

/// Process exit code for an error, 1..127.
[[nodiscard]] int exit_code(ErrorCode code) noexcept;

/// One way in which the command line ends.
struct ExitStatus {
  int code;
  std::string_view meaning;
};

/// Every exit code of the command line, success included, in rising order; the README and the man page hold them.
[[nodiscard]] std::span<const ExitStatus> exit_statuses() noexcept;

}  // namespace flatfield
