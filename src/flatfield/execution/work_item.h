#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flatfield/execution/thread_pool.h"

namespace flatfield::execution {

/// One piece of the work on a volume: it alone writes its output objects, reads none that another item
/// writes, and can therefore be repeated, resumed or done elsewhere.
///
/// An item is opened (its memory taken), its parts are run by any workers in any order and at the same
/// time, and it is closed by the worker that finishes its last part.
class WorkItem {
 public:
  virtual ~WorkItem() = default;

  /// Name for messages, the same in every run of the same configuration, e.g. "corrected level 0 item 17".
  [[nodiscard]] virtual std::string id() const = 0;
  /// Bytes held between open and close, scratch of the workers not included.
  [[nodiscard]] virtual std::int64_t peak_bytes() const = 0;
  /// Bytes of the voxels that the item makes at its finest level, for progress.
  [[nodiscard]] virtual std::int64_t voxel_bytes() const = 0;
  /// >= 1.
  [[nodiscard]] virtual std::int64_t part_count() const = 0;
  virtual void open() {}
  virtual void run_part(std::int64_t part, int worker) = 0;
  virtual void close(int worker) = 0;
};

/// What is done at the same time: items in this order.
using WorkItems = std::vector<std::unique_ptr<WorkItem>>;

/// Called after each item, from the worker that closed it, one call at a time.
using ItemFinished = std::function<void(const WorkItem&)>;

/// Runs all items on the pool. Items are opened in order, and only while the sum of their peak_bytes
/// stays within `memory_bytes`. After an error no new part is started; the first error is thrown when
/// the running parts have ended. Where the process is asked to stop, no new item is opened, those that are open are
/// completed, and Error(kInterrupted) is thrown if any are left. Throws Error(kMemory) before it starts if an item can never fit.
void run_items(ThreadPool& pool, const WorkItems& items, std::int64_t memory_bytes,
               const ItemFinished& on_finished);

}  // namespace flatfield::execution
