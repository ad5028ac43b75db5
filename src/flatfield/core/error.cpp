#include "flatfield/core/error.h"

#include <algorithm>

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

}  // namespace

Error::Error(ErrorCode code, std::string_view what, std::string_view where, std::string_view remedy)
    : std::runtime_error(join(what, where, remedy)),
      code_(code),
      message_(one_line(what)),
      where_(one_line(where)),
      remedy_(one_line(remedy)) {}

std::string_view error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInternal: return "internal";
    case ErrorCode::kUsage: return "usage";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kBadInput: return "bad_input";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kOutputExists: return "output_exists";
    case ErrorCode::kWriteFailed: return "write_failed";
    case ErrorCode::kReadFailed: return "read_failed";
    case ErrorCode::kMemory: return "memory";
    case ErrorCode::kQualityFailed: return "quality_failed";
    case ErrorCode::kTilesFailed: return "tiles_failed";
    case ErrorCode::kInterrupted: return "interrupted";
  }
  return "internal";
}

int exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInternal: return 1;
    case ErrorCode::kUsage: return 2;
    case ErrorCode::kNotFound: return 3;
    case ErrorCode::kBadInput: return 4;
    case ErrorCode::kUnsupported: return 5;
    case ErrorCode::kOutputExists: return 6;
    case ErrorCode::kWriteFailed: return 7;
    case ErrorCode::kReadFailed: return 8;
    case ErrorCode::kMemory: return 9;
    case ErrorCode::kQualityFailed: return 10;
    case ErrorCode::kTilesFailed: return 11;
    case ErrorCode::kInterrupted: return 75;  // EX_TEMPFAIL: starting again is the remedy
  }
  return 1;
}

}  // namespace flatfield
