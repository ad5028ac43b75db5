#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/core/stage_clock.h"

namespace flatfield::execution {

/// A fixed number of workers, of which the calling thread is one. One piece of work at a time; a call from
/// inside a worker runs serially on that worker, so pure code may be given a pool at any depth.
class ThreadPool {
 public:
  /// `workers` >= 1; starts workers - 1 threads.
  explicit ThreadPool(int workers);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int workers() const { return workers_; }

  /// Runs body(worker) once for each worker index in [0, workers()) at the same time, index 0 on the
  /// calling thread. Rethrows the exception of the lowest index, once all have ended. Worker threads charge
  /// their time to the caller's stage clock. A call from inside a worker runs them one after another, in
  /// ascending order, and the first exception ends it.
  void run_on_all(const std::function<void(int)>& body);

  /// See ParallelFor. Indices are handed out in ascending order; after an exception no new ones are. Throws
  /// Error(kInterrupted) where the process is asked to stop.
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body);
  /// parallel_for as a value; valid while the pool lives.
  [[nodiscard]] ParallelFor as_parallel_for();

 private:
  void worker_loop(int worker, const std::stop_token& stop);
  void run_one(int worker) noexcept;

  const int workers_;
  std::mutex calls_;  ///< held during run_on_all: one piece of work at a time
  std::mutex mutex_;
  std::condition_variable_any start_;
  std::condition_variable done_;
  const std::function<void(int)>* body_ = nullptr;
  StageTotals* totals_ = nullptr;
  std::uint64_t generation_ = 0;
  int running_ = 0;
  std::vector<std::exception_ptr> errors_;
  std::vector<std::jthread> threads_;
};

}  // namespace flatfield::execution
