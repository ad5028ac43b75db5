#include "flatfield/core/stage_clock.h"

#include <ctime>

namespace flatfield {
namespace {

struct ThreadClock {
  StageTotals* totals = nullptr;
  Stage stage = Stage::kOther;
  std::int64_t cpu_mark = 0;
  std::int64_t wall_mark = 0;
};

thread_local ThreadClock t_clock;

std::int64_t now_nanoseconds(clockid_t id) noexcept {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

/// Charges the time since the last mark to the active stage, and starts the next one.
void switch_to(Stage next) noexcept {
  ThreadClock& clock = t_clock;
  const std::int64_t cpu = now_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  const std::int64_t wall = now_nanoseconds(CLOCK_MONOTONIC);
  if (clock.totals != nullptr) {
    const auto i = static_cast<std::size_t>(clock.stage);
    clock.totals->cpu_nanoseconds[i].fetch_add(cpu - clock.cpu_mark, std::memory_order_relaxed);
    clock.totals->wall_nanoseconds[i].fetch_add(wall - clock.wall_mark, std::memory_order_relaxed);
  }
  clock.stage = next;
  clock.cpu_mark = cpu;
  clock.wall_mark = wall;
}

}  // namespace

std::string_view stage_name(Stage stage) noexcept {
  constexpr std::array<std::string_view, kStageCount> kNames{
      "other", "read", "decode", "arithmetic", "encode", "write", "wait"};
  return kNames[static_cast<std::size_t>(stage)];
}

StageBinding::StageBinding(StageTotals& totals, Stage first)
    : previous_totals_(t_clock.totals), previous_stage_(t_clock.stage) {
  switch_to(first);
  t_clock.totals = &totals;
}

StageBinding::~StageBinding() {
  switch_to(previous_stage_);
  t_clock.totals = previous_totals_;
}

StageScope::StageScope(Stage stage) noexcept : previous_(t_clock.stage) {
  if (t_clock.totals != nullptr && stage != previous_) switch_to(stage);
}

StageScope::~StageScope() {
  if (t_clock.totals != nullptr && t_clock.stage != previous_) switch_to(previous_);
}

void count_bytes_read(std::int64_t bytes) noexcept {
  if (t_clock.totals != nullptr) t_clock.totals->bytes_read.fetch_add(bytes, std::memory_order_relaxed);
}

void count_bytes_written(std::int64_t bytes) noexcept {
  if (t_clock.totals != nullptr)
    t_clock.totals->bytes_written.fetch_add(bytes, std::memory_order_relaxed);
}

StageTotals* bound_totals() noexcept { return t_clock.totals; }

Stage active_stage() noexcept { return t_clock.stage; }

}  // namespace flatfield
