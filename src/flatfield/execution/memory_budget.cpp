#include "flatfield/execution/memory_budget.h"

#include <algorithm>
#include <utility>

#include "flatfield/core/error.h"

namespace flatfield::execution {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

std::int64_t mebibytes(std::int64_t bytes) { return (bytes + kMebibyte - 1) / kMebibyte; }

/// "background image 64 MiB, workers 40 MiB", the largest first.
std::string list(std::vector<MemoryNeed> needs) {
  std::stable_sort(needs.begin(), needs.end(),
                   [](const MemoryNeed& a, const MemoryNeed& b) { return a.bytes > b.bytes; });
  std::string text;
  for (const MemoryNeed& need : needs) {
    if (need.bytes == 0) continue;
    text += (text.empty() ? "" : ", ") + need.consumer + " " + std::to_string(mebibytes(need.bytes)) + " MiB";
  }
  return text;
}

[[noreturn]] void fail(const std::string& what, std::int64_t needed, std::int64_t limit,
                       const std::vector<MemoryNeed>& needs) {
  throw Error(ErrorCode::kMemory,
              what + " needs " + std::to_string(mebibytes(needed)) + " MiB of memory, but only " +
                  std::to_string(limit / kMebibyte) + " MiB may be used",
              list(needs),
              "give --memory-limit " + std::to_string(mebibytes(needed)) + "M or more");
}

}  // namespace

std::int64_t StageNeeds::total_bytes() const {
  std::int64_t sum = 0;
  for (const MemoryNeed& need : needs) sum += need.bytes;
  return sum;
}

std::int64_t smallest_limit(std::span<const StageNeeds> stages) {
  std::int64_t most = 0;
  for (const StageNeeds& stage : stages) most = std::max(most, stage.total_bytes());
  return mebibytes(most) * kMebibyte;
}

void check_needs(std::span<const StageNeeds> stages, std::int64_t limit_bytes) {
  const auto most = std::max_element(stages.begin(), stages.end(), [](const auto& a, const auto& b) {
    return a.total_bytes() < b.total_bytes();
  });
  if (most != stages.end() && most->total_bytes() > limit_bytes)
    fail(most->stage, most->total_bytes(), limit_bytes, most->needs);
}

MemoryBudget::Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), consumer_(other.consumer_), bytes_(std::exchange(other.bytes_, 0)) {}

MemoryBudget::Reservation& MemoryBudget::Reservation::operator=(Reservation&& other) noexcept {
  if (this == &other) return *this;
  release();
  budget_ = std::exchange(other.budget_, nullptr);
  consumer_ = other.consumer_;
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

void MemoryBudget::Reservation::release() noexcept {
  if (budget_ == nullptr) return;
  const std::scoped_lock lock(budget_->mutex_);
  budget_->reserved_ -= bytes_;
  budget_->held_[consumer_].bytes -= bytes_;
  budget_ = nullptr;
  bytes_ = 0;
}

MemoryBudget::Reservation MemoryBudget::reserve(const std::string& consumer, std::int64_t bytes) {
  // A sum beyond 64 bits would be memory that others may use.
  if (bytes < 0)
    throw Error(ErrorCode::kInternal, consumer + " asks for " + std::to_string(bytes) + " bytes of memory", "",
                "please report this");
  const std::scoped_lock lock(mutex_);
  auto place = std::find_if(held_.begin(), held_.end(),
                            [&](const MemoryNeed& held) { return held.consumer == consumer; });
  if (place == held_.end()) place = held_.insert(held_.end(), {consumer, 0});
  if (reserved_ + bytes > limit_bytes_) {
    std::vector<MemoryNeed> needs = held_;
    needs[static_cast<std::size_t>(place - held_.begin())].bytes += bytes;
    fail("the run", reserved_ + bytes, limit_bytes_, needs);
  }
  place->bytes += bytes;
  reserved_ += bytes;
  peak_ = std::max(peak_, reserved_);
  Reservation reservation;
  reservation.budget_ = this;
  reservation.consumer_ = static_cast<std::size_t>(place - held_.begin());
  reservation.bytes_ = bytes;
  return reservation;
}

std::int64_t MemoryBudget::free_bytes() const {
  const std::scoped_lock lock(mutex_);
  return limit_bytes_ - reserved_;
}

std::int64_t MemoryBudget::peak_bytes() const {
  const std::scoped_lock lock(mutex_);
  return peak_;
}

}  // namespace flatfield::execution
