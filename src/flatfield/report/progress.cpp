#include "flatfield/report/progress.h"

#include <fmt/format.h>

#include <algorithm>

namespace flatfield::report {
namespace {

using std::chrono::steady_clock;

constexpr auto kBarInterval = std::chrono::milliseconds(200);
constexpr auto kLineInterval = std::chrono::seconds(10);
constexpr int kBarWidth = 30;

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02} h", whole / 3600, whole % 3600 / 60);
}

}  // namespace

Progress::Progress(Log& log, std::string stage, std::int64_t total_bytes)
    : log_(log),
      stage_(std::move(stage)),
      total_bytes_(std::max<std::int64_t>(total_bytes, 1)),
      start_(steady_clock::now()),
      last_shown_(start_) {
  if (log_.interactive()) show(true);
}

Progress::~Progress() { log_.set_status(""); }

void Progress::advance(std::int64_t bytes) {
  done_bytes_ += bytes;
  log_.progress(stage_, done_bytes_, total_bytes_);
  const auto now = steady_clock::now();
  const bool finished = done_bytes_ >= total_bytes_;
  if (log_.interactive()) {
    if (!finished && now - last_shown_ < kBarInterval) return;
    last_shown_ = now;
    show(true);
  }
  // A line at the end says how fast it was, on a terminal too.
  if (finished || (!log_.interactive() && now - last_shown_ >= kLineInterval)) {
    last_shown_ = now;
    show(false);
  }
}

void Progress::show(bool bar) {
  const double seconds = std::chrono::duration<double>(steady_clock::now() - start_).count();
  const double share = std::min(1.0, static_cast<double>(done_bytes_) / static_cast<double>(total_bytes_));
  const double rate = seconds > 0.0 ? static_cast<double>(done_bytes_) / seconds : 0.0;
  const double left =
      rate > 0.0 ? std::max(0.0, static_cast<double>(total_bytes_ - done_bytes_) / rate) : 0.0;
  const std::string time = done_bytes_ >= total_bytes_ ? "in " + duration_text(seconds)
                           : rate > 0.0               ? duration_text(left) + " left"
                                                      : "starting";
  const std::string figures = fmt::format("{:3.0f} %  {:.0f} MB/s  {}", 100.0 * share, rate / 1e6, time);
  if (bar) {
    const auto filled = static_cast<std::size_t>(share * kBarWidth);
    log_.set_status(fmt::format("{} [{}{}] {}", stage_, std::string(filled, '#'),
                                std::string(kBarWidth - filled, '.'), figures));
    return;
  }
  Json fields;
  fields["stage"] = stage_;
  fields["done_bytes"] = done_bytes_;
  fields["total_bytes"] = total_bytes_;
  fields["bytes_per_second"] = rate;
  fields["seconds_left"] = left;
  log_.event(LogLevel::kInfo, "progress", fmt::format("{}: {}", stage_, figures), fields);
}

}  // namespace flatfield::report
