#include "flatfield/report/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <utility>

namespace flatfield::report {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  constexpr std::array kLevels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                               spdlog::level::err, spdlog::level::critical};
  return kLevels[static_cast<std::size_t>(level)];
}

/// Standard error with a status line below the messages.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void set_status(const std::string& status) {
    const std::lock_guard lock(mutex_);
    erase_status();
    status_ = status;
    std::fputs(status_.c_str(), stderr);
    std::fflush(stderr);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    erase_status();
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fputs(status_.c_str(), stderr);
    flush_();
  }
  void flush_() override { std::fflush(stderr); }

 private:
  void erase_status() {
    if (!status_.empty()) std::fputs("\r\033[K", stderr);
  }
  std::string status_;
};

/// An event as a line of text, or as an object of JSON.
std::string line_of(bool json, LogLevel level, std::string_view name, std::string_view message, const Json& fields) {
  const std::string time = utc_timestamp();
  const std::string_view level_name = kLevelNames[static_cast<std::size_t>(level)];
  if (!json) return fmt::format("{} {:<8} {}", time, level_name, message);
  Json object;
  object["time"] = time;
  object["level"] = level_name;
  object["event"] = name;
  object["message"] = message;
  if (fields.is_object())
    for (const auto& [key, value] : fields.as_object()) object[key] = value;
  return object.dump();
}

}  // namespace

struct Log::Sinks {
  explicit Sinks(LogLevel lowest) {
    logger.set_level(to_spdlog(lowest));
    logger.flush_on(spdlog::level::debug);
    // Else it prints what is no line of this log.
    logger.set_error_handler([this](const std::string& what) {
      if (!std::exchange(has_lost, true)) lost = "the log file is not complete: " + what;
    });
  }
  bool has_lost = false;  ///< whether a line could not be written
  std::string lost;       ///< why, until that is told
  std::shared_ptr<TerminalSink> terminal = std::make_shared<TerminalSink>();
  spdlog::logger logger{"exaspim-flatfield"};
};

LogLevel log_level_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i)
    if (name == kLevelNames[i]) return static_cast<LogLevel>(i);
  return LogLevel::kInfo;
}

Log::Log(LogLevel lowest, bool json)
    : lowest_(lowest),
      json_(json),
      interactive_(!json && isatty(STDERR_FILENO) != 0),
      sinks_(std::make_unique<Sinks>(lowest)) {
  sinks_->logger.sinks().push_back(sinks_->terminal);
  sinks_->logger.set_pattern("%v");
}

Log::Log(LogLevel lowest, LogListener& listener)
    : lowest_(lowest), json_(false), interactive_(false), listener_(&listener), sinks_(std::make_unique<Sinks>(lowest)) {}

Log::~Log() = default;

void Log::open_file(const std::filesystem::path& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    sink->set_pattern("%v");
    const std::lock_guard lock(mutex_);
    sinks_->logger.sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    throw Error(ErrorCode::kWriteFailed, error.what(), path.string(),
                "choose a results directory that can be written");
  }
}

void Log::event(LogLevel level, std::string_view name, std::string_view message, const Json& fields) {
  const std::string line = line_of(json_, level, name, message, fields);
  std::string lost;
  {
    const std::lock_guard lock(mutex_);
    if (level == LogLevel::kWarning) warnings_.emplace_back(message);
    sinks_->logger.log(to_spdlog(level), spdlog::string_view_t(line));
    lost = std::exchange(sinks_->lost, {});
    if (!lost.empty()) {
      warnings_.push_back(lost);
      // Not to the file, which cannot be written.
      const std::string warning = line_of(json_, LogLevel::kWarning, "message", lost, {});
      const spdlog::details::log_msg printed("", spdlog::level::warn, spdlog::string_view_t(warning));
      if (listener_ == nullptr && LogLevel::kWarning >= lowest_) sinks_->terminal->log(printed);
    }
  }
  if (listener_ != nullptr && level >= lowest_) listener_->on_event(level, name, message, fields);
  if (listener_ != nullptr && !lost.empty() && LogLevel::kWarning >= lowest_)
    listener_->on_event(LogLevel::kWarning, "message", lost, {});
}

void Log::failure(std::string_view name, const Error& error) {
  Json fields;
  fields["error_code"] = error_code_name(error.code());
  fields["what"] = error.message();
  fields["where"] = error.where();
  fields["remedy"] = error.remedy();
  if (listener_ != nullptr) listener_->on_failure(fields);
  event(LogLevel::kError, name, error.what(), fields);
}

void Log::progress(std::string_view stage, std::int64_t done_bytes, std::int64_t total_bytes) {
  if (listener_ != nullptr) listener_->on_progress(stage, done_bytes, total_bytes);
}

std::vector<std::string> Log::take_warnings() {
  const std::lock_guard lock(mutex_);
  return std::exchange(warnings_, {});
}

void Log::set_status(const std::string& status) {
  if (interactive_) sinks_->terminal->set_status(status);
}

std::string utc_timestamp() {
  const auto now = std::chrono::system_clock::now();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  const auto microseconds =
      std::chrono::duration_cast<std::chrono::microseconds>(now - seconds).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), microseconds);
}

}  // namespace flatfield::report
