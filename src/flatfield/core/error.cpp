#include "flatfield/core/error.h"

#include <algorithm>
#include <array>

namespace flatfield {
namespace {

/// An error is one line, whatever a file name or a third-party message contained.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return line;
}

std::string join(std::string_view what, std::string_view where, std::string_view remedy) {
  std::string line = one_line(what);
  if (!where.empty()) line += ": " + one_line(where);
  if (!remedy.empty()) line += ": " + one_line(remedy);
  return line;
}

struct Row {
  ErrorCode code;
  std::string_view name;
  ExitStatus exit;
};

using enum ErrorCode;
constexpr std::array kRows{
    Row{kInternal, "internal", {1, "internal error: a defect of this program"}},
    Row{kUsage, "usage", {2, "an option or a configuration key is unknown, missing or out of range"}},
    Row{kNotFound, "not_found", {3, "an input that was named does not exist, or a step before this one was not done"}},
    Row{kBadInput,
        "bad_input",
        {4, "an input is corrupt, or is not what it claims to be; `verify`: an image is damaged"}},
    Row{kUnsupported,
        "unsupported",
        {5, "an input uses a feature that is not supported (named in the message)"}},
    Row{kOutputExists,
        "output_exists",
        {6, "the output is there already, or was begun otherwise, and `--overwrite` was not given"}},
    Row{kWriteFailed, "write_failed", {7, "the output cannot be written: no space, no permission, I/O error"}},
    Row{kReadFailed, "read_failed", {8, "an existing input cannot be read: permission, I/O error"}},
    Row{kMemory, "memory", {9, "the work does not fit into the memory, or the system gives no more threads"}},
    Row{kQualityFailed,
        "quality_failed",
        {10, "the quality numbers of the tile failed, with `--on-qc-fail error`"}},
    Row{kTilesFailed,
        "tiles_failed",
        {11,
         "tiles of a batch failed: `run_report.json` (of `plan`: the log) says which and why; the others were corrected, or "
         "planned"}},
    // EX_TEMPFAIL: starting again is the remedy
    Row{kInterrupted,
        "interrupted",
        {75, "interrupted by SIGINT or SIGTERM, a run between two items: the same command goes on with it"}},
};

constexpr const Row& row_of(ErrorCode code) noexcept { return kRows[static_cast<std::size_t>(code)]; }

constexpr bool rows_stand_in_the_order_of_the_codes() {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].code != static_cast<ErrorCode>(i)) return false;
  return kRows.back().code == kInterrupted;
}
static_assert(rows_stand_in_the_order_of_the_codes());

}  // namespace

Error::Error(ErrorCode code, std::string_view what, std::string_view where, std::string_view remedy)
    : std::runtime_error(join(what, where, remedy)),
      code_(code),
      message_(one_line(what)),
      where_(one_line(where)),
      remedy_(one_line(remedy)) {}

std::string_view error_code_name(ErrorCode code) noexcept { return row_of(code).name; }

int exit_code(ErrorCode code) noexcept { return row_of(code).exit.code; }

std::span<const ExitStatus> exit_statuses() noexcept {
  static constexpr auto statuses = [] {
    std::array<ExitStatus, kRows.size() + 1> all{{{0, "every tile was corrected, or was finished already"}}};
    for (std::size_t i = 0; i < kRows.size(); ++i) all[i + 1] = kRows[i].exit;
    return all;
  }();
  return statuses;
}

}  // namespace flatfield
