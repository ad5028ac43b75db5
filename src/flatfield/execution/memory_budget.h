#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace flatfield::execution {

/// Who needs memory, and how much.
struct MemoryNeed {
  std::string consumer;  ///< for people, e.g. "background image"
  std::int64_t bytes = 0;
};

/// What one stage of a run holds at the same time.
struct StageNeeds {
  std::string stage;  ///< for people, e.g. "corrected level 0"
  std::vector<MemoryNeed> needs;

  [[nodiscard]] std::int64_t total_bytes() const;
};

/// The least memory limit with which all stages run: the most that one of them needs, in whole MiB.
[[nodiscard]] std::int64_t smallest_limit(std::span<const StageNeeds> stages);

/// Throws Error(kMemory) unless every stage fits into `limit_bytes`. It names the stage that needs most, what it
/// needs it for, and the smallest limit that works.
void check_needs(std::span<const StageNeeds> stages, std::int64_t limit_bytes);

/// The memory of a run, and who holds how much of it. What is large is reserved here before it is used, so that the
/// sum never exceeds the limit. May be used from several threads.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::int64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Bytes that are reserved while it lives.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation() { release(); }
    [[nodiscard]] std::int64_t bytes() const { return bytes_; }

   private:
    friend class MemoryBudget;
    void release() noexcept;
    MemoryBudget* budget_ = nullptr;
    std::size_t consumer_ = 0;
    std::int64_t bytes_ = 0;
  };

  /// Reserves `bytes` (Error(kInternal) below 0). Throws Error(kMemory) that names the consumer and the smallest limit that
  /// would do.
  [[nodiscard]] Reservation reserve(const std::string& consumer, std::int64_t bytes);

  [[nodiscard]] std::int64_t limit_bytes() const { return limit_bytes_; }
  [[nodiscard]] std::int64_t free_bytes() const;
  /// The most that was reserved at the same time.
  [[nodiscard]] std::int64_t peak_bytes() const;

 private:
  const std::int64_t limit_bytes_;
  mutable std::mutex mutex_;
  std::vector<MemoryNeed> held_;
  std::int64_t reserved_ = 0;
  std::int64_t peak_ = 0;
};

}  // namespace flatfield::execution
