#include "flatfield/execution/work_item.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>

#include "flatfield/core/error.h"
#include "flatfield/core/interruption.h"
#include "flatfield/core/stage_clock.h"

namespace flatfield::execution {
namespace {

/// An item that has been opened: which parts are still to be handed out, which to be finished.
struct OpenItem {
  WorkItem* item = nullptr;
  std::int64_t next_part = 0;
  std::int64_t unfinished = 0;
};

class Schedule {
 public:
  Schedule(const WorkItems& items, std::int64_t memory_bytes, const ItemFinished& on_finished)
      : items_(items), memory_bytes_(memory_bytes), on_finished_(on_finished) {}

  void work(int worker) {
    std::unique_lock lock(mutex_);
    while (OpenItem* open = next_open(lock)) {
      const std::int64_t part = open->next_part++;
      lock.unlock();
      try {
        open->item->run_part(part, worker);
      } catch (...) {
        lock.lock();
        fail();
        return;
      }
      lock.lock();
      if (--open->unfinished == 0 && !error_) finish(*open, worker, lock);
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
    // Nothing else leaves items, and who asked for it may have taken it back meanwhile.
    if (next_item_ < items_.size()) throw_interrupted();
  }

 private:
  /// The item whose next part is to be run; opens one if there is room; waits while there is none.
  /// Null when there is nothing left to start.
  OpenItem* next_open(std::unique_lock<std::mutex>& lock) {
    for (;;) {
      if (error_) return nullptr;
      for (OpenItem& open : open_)
        if (open.item != nullptr && open.next_part < open.item->part_count()) return &open;
      if (next_item_ == items_.size()) return nullptr;
      if (interruption_requested()) return nullptr;
      WorkItem& item = *items_[next_item_];
      if (reserved_ + item.peak_bytes() <= memory_bytes_) {
        ++next_item_;
        reserved_ += item.peak_bytes();
        try {
          // Under the lock: a worker that comes meanwhile would open an item of its own, rather than take parts of this one.
          item.open();
        } catch (...) {
          fail();
          return nullptr;
        }
        // Closed places are used again: pointers into a deque stay valid while it grows.
        for (OpenItem& place : open_) {
          if (place.item == nullptr) {
            place = {&item, 0, item.part_count()};
            return &place;
          }
        }
        open_.push_back({&item, 0, item.part_count()});
        return &open_.back();
      }
      const StageScope waiting(Stage::kWait);
      changed_.wait(lock);
    }
  }

  void finish(OpenItem& open, int worker, std::unique_lock<std::mutex>& lock) {
    WorkItem& item = *open.item;
    lock.unlock();
    try {
      item.close(worker);
      const std::lock_guard one_call(finished_mutex_);
      if (on_finished_) on_finished_(item);
    } catch (...) {
      lock.lock();
      fail();
      return;
    }
    lock.lock();
    reserved_ -= item.peak_bytes();
    open.item = nullptr;
    changed_.notify_all();
  }

  void fail() {
    if (!error_) error_ = std::current_exception();
    changed_.notify_all();
  }

  const WorkItems& items_;
  const std::int64_t memory_bytes_;
  const ItemFinished& on_finished_;
  std::mutex mutex_;
  std::mutex finished_mutex_;
  std::condition_variable changed_;
  std::deque<OpenItem> open_;
  std::size_t next_item_ = 0;
  std::int64_t reserved_ = 0;
  std::exception_ptr error_;
};

}  // namespace

void run_items(ThreadPool& pool, const WorkItems& items, std::int64_t memory_bytes,
               const ItemFinished& on_finished) {
  for (const auto& item : items) {
    if (item->peak_bytes() > memory_bytes)
      throw Error(ErrorCode::kMemory,
                  item->id() + " needs " + std::to_string(item->peak_bytes() >> 20) +
                      " MiB of memory, but only " + std::to_string(memory_bytes >> 20) +
                      " MiB may be used",
                  "", "choose smaller chunks (--output-chunks) or give the job more memory");
  }
  Schedule schedule(items, memory_bytes, on_finished);
  pool.run_on_all([&](int worker) { schedule.work(worker); });
  schedule.rethrow();
}

}  // namespace flatfield::execution
