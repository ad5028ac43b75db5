#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/json.h"

namespace flatfield::report {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kCritical };

/// "DEBUG", "INFO", ... as a level; kInfo for another text.
[[nodiscard]] LogLevel log_level_from_name(std::string_view name) noexcept;

/// Who is told what a run does where that is not standard error: a program that runs within another. Calls may come
/// from any thread.
class LogListener {
 public:
  virtual ~LogListener() = default;
  /// Every event from the log's lowest level on; see Log::event.
  virtual void on_event(LogLevel level, std::string_view name, std::string_view message, const Json& fields) = 0;
  /// A failure, whatever the lowest level; on_event is told of it too if it is high enough.
  virtual void on_failure(const Json& /*fields*/) {}
  /// Uncompressed voxel bytes of a stage that are done, after each item. Error(kInterrupted) ends the run as a
  /// signal does.
  virtual void on_progress(std::string_view stage, std::int64_t done_bytes, std::int64_t total_bytes) = 0;
};

/// Where a run tells what it does: standard error, and a file of the results directory once that exists.
/// Text lines for people, or one JSON object per line for programs. Thread-safe.
class Log {
 public:
  Log(LogLevel lowest, bool json);
  /// Tells a listener, which must outlive it, and nothing to standard error.
  Log(LogLevel lowest, LogListener& listener);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Also writes to this file (appending). Throws Error(kWriteFailed). The first line that it cannot take later, as on a full
  /// disk, is a warning.
  void open_file(const std::filesystem::path& path);

  void debug(std::string_view message) { event(LogLevel::kDebug, "message", message); }
  void info(std::string_view message) { event(LogLevel::kInfo, "message", message); }
  void warning(std::string_view message) { event(LogLevel::kWarning, "message", message); }
  void error(std::string_view message) { event(LogLevel::kError, "message", message); }
  /// A line that programs look for: in JSON it carries the event's name and fields beside the message.
  void event(LogLevel level, std::string_view name, std::string_view message, const Json& fields = {});

  /// An event about what went wrong; its fields are error_code, what, where and remedy.
  void failure(std::string_view name, const Error& error);

  /// Warnings so far, for the run report.
  [[nodiscard]] std::vector<std::string> take_warnings();

  /// True if standard error is a terminal and lines are for people.
  [[nodiscard]] bool interactive() const { return interactive_; }
  [[nodiscard]] bool json() const { return json_; }
  /// Tells the listener, if there is one, how far a stage is. Throws what that throws.
  void progress(std::string_view stage, std::int64_t done_bytes, std::int64_t total_bytes);
  /// Text kept on the last line of the terminal; "" removes it. Does nothing where not interactive.
  void set_status(const std::string& status);

 private:
  struct Sinks;
  const LogLevel lowest_;
  const bool json_;
  const bool interactive_;
  LogListener* const listener_ = nullptr;
  std::mutex mutex_;
  std::unique_ptr<Sinks> sinks_;
  std::vector<std::string> warnings_;
};

/// The present time in UTC, ISO 8601 with microseconds and "Z".
[[nodiscard]] std::string utc_timestamp();

}  // namespace flatfield::report
