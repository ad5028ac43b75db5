#include "flatfield/storage/fan_out.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "flatfield/core/stage_clock.h"

namespace flatfield::storage {

void fan_out(std::int64_t count, int threads, const std::function<void(std::int64_t)>& body) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  std::int64_t error_index = count;
  const auto work = [&] {
    for (std::int64_t i = next++; i < count; i = next++) {
      try {
        body(i);
      } catch (...) {
        const std::scoped_lock lock(mutex);
        if (i < error_index) {
          error_index = i;
          error = std::current_exception();
        }
        next = count;
        return;
      }
    }
  };
  {
    StageTotals* const totals = bound_totals();
    const Stage stage = active_stage();
    std::vector<std::jthread> helpers;
    for (std::int64_t i = 1; i < std::min<std::int64_t>(threads, count); ++i) {
      try {
        helpers.emplace_back([&work, totals, stage] {
          std::optional<StageBinding> binding;
          if (totals != nullptr) binding.emplace(*totals, stage);
          work();
        });
      } catch (const std::system_error&) {
        break;  // those that there are do the work
      }
    }
    work();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace flatfield::storage
