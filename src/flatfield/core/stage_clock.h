#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace flatfield {

/// What a thread is doing, for the per-stage CPU clocks of the run report.
enum class Stage : std::uint8_t { kOther, kRead, kDecode, kArithmetic, kEncode, kWrite, kWait };
inline constexpr int kStageCount = 7;
[[nodiscard]] std::string_view stage_name(Stage stage) noexcept;

/// What StageTotals has come to at one moment.
struct StageSums {
  std::array<std::int64_t, kStageCount> cpu_nanoseconds{};
  std::array<std::int64_t, kStageCount> wall_nanoseconds{};
  std::int64_t bytes_read = 0;
  std::int64_t bytes_written = 0;
};

/// CPU nanoseconds and bytes of a run, added up over its threads.
struct StageTotals {
  std::array<std::atomic<std::int64_t>, kStageCount> cpu_nanoseconds{};
  std::array<std::atomic<std::int64_t>, kStageCount> wall_nanoseconds{};
  std::atomic<std::int64_t> bytes_read{0};     ///< encoded bytes taken from stores
  std::atomic<std::int64_t> bytes_written{0};  ///< encoded bytes given to stores

  [[nodiscard]] StageSums snapshot() const {
    StageSums sums;
    for (std::size_t i = 0; i < kStageCount; ++i) {
      sums.cpu_nanoseconds[i] = cpu_nanoseconds[i].load();
      sums.wall_nanoseconds[i] = wall_nanoseconds[i].load();
    }
    sums.bytes_read = bytes_read.load();
    sums.bytes_written = bytes_written.load();
    return sums;
  }
};

/// While it lives, the calling thread's time is charged to `totals`, starting in `first`.
/// Nested bindings to the same totals are allowed and count once.
class StageBinding {
 public:
  explicit StageBinding(StageTotals& totals, Stage first = Stage::kOther);
  ~StageBinding();
  StageBinding(const StageBinding&) = delete;
  StageBinding& operator=(const StageBinding&) = delete;

 private:
  StageTotals* previous_totals_;
  Stage previous_stage_;
};

/// While it lives, the calling thread's time is charged to `stage`; the stage that was active
/// before goes on afterwards. Does nothing on a thread without a StageBinding.
class StageScope {
 public:
  explicit StageScope(Stage stage) noexcept;
  ~StageScope();
  StageScope(const StageScope&) = delete;
  StageScope& operator=(const StageScope&) = delete;

 private:
  Stage previous_;
};

/// Counts bytes moved by the calling thread, if it has a StageBinding.
void count_bytes_read(std::int64_t bytes) noexcept;
void count_bytes_written(std::int64_t bytes) noexcept;

/// The totals that the calling thread is bound to, so that helper threads can join; may be null.
[[nodiscard]] StageTotals* bound_totals() noexcept;
/// The stage that the calling thread's time is charged to; kOther without a StageBinding.
[[nodiscard]] Stage active_stage() noexcept;

}  // namespace flatfield
