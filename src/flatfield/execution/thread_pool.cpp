#include "flatfield/execution/thread_pool.h"

#include <atomic>
#include <limits>
#include <optional>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/core/interruption.h"
#include "flatfield/core/stage_clock.h"

namespace flatfield::execution {
namespace {

/// True on a thread that is inside run_on_all: work asked for there is done on the spot.
thread_local bool t_inside_pool = false;

class InsidePool {
 public:
  InsidePool() : previous_(std::exchange(t_inside_pool, true)) {}
  ~InsidePool() { t_inside_pool = previous_; }
  InsidePool(const InsidePool&) = delete;
  InsidePool& operator=(const InsidePool&) = delete;

 private:
  bool previous_;
};

}  // namespace

ThreadPool::ThreadPool(int workers) : workers_(workers) {
  if (workers < 1) throw Error(ErrorCode::kInternal, "a thread pool needs at least one worker");
  errors_.resize(static_cast<std::size_t>(workers));
  threads_.reserve(static_cast<std::size_t>(workers - 1));
  for (int worker = 1; worker < workers; ++worker)
    threads_.emplace_back([this, worker](const std::stop_token& stop) { worker_loop(worker, stop); });
}

ThreadPool::~ThreadPool() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

void ThreadPool::run_one(int worker) noexcept {
  const InsidePool inside;
  try {
    (*body_)(worker);
  } catch (...) {
    errors_[static_cast<std::size_t>(worker)] = std::current_exception();
  }
}

void ThreadPool::worker_loop(int worker, const std::stop_token& stop) {
  std::uint64_t seen = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (!start_.wait(lock, stop, [&] { return generation_ != seen; })) return;
      seen = generation_;
    }
    {
      std::optional<StageBinding> binding;
      if (totals_ != nullptr) binding.emplace(*totals_, Stage::kArithmetic);
      run_one(worker);
    }
    {
      const std::lock_guard lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }
}

void ThreadPool::run_on_all(const std::function<void(int)>& body) {
  if (t_inside_pool) {
    for (int worker = 0; worker < workers_; ++worker) body(worker);
    return;
  }
  const std::lock_guard one_call(calls_);
  {
    const std::lock_guard lock(mutex_);
    body_ = &body;
    totals_ = bound_totals();
    errors_.assign(static_cast<std::size_t>(workers_), nullptr);
    running_ = workers_ - 1;
    ++generation_;
  }
  start_.notify_all();
  run_one(0);
  {
    const StageScope waiting(Stage::kWait);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return running_ == 0; });
    body_ = nullptr;
  }
  for (const std::exception_ptr& error : errors_)
    if (error) std::rethrow_exception(error);
}

void ThreadPool::parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (count <= 0) return;
  if (t_inside_pool || workers_ == 1 || count == 1) {
    const StageScope scope(Stage::kArithmetic);
    serial_for(count, [&](std::int64_t i) {
      stop_if_interrupted();
      body(i);
    });
    return;
  }
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex error_mutex;
  std::exception_ptr first_error;
  std::int64_t first_index = std::numeric_limits<std::int64_t>::max();
  run_on_all([&](int) {
    const StageScope scope(Stage::kArithmetic);
    // Every index below a failed one has been handed out before it, so the lowest
    // failing index, and with it the error that is reported, is always the same.
    while (!failed.load(std::memory_order_relaxed)) {
      const std::int64_t i = next.fetch_add(1);
      if (i >= count) return;
      try {
        stop_if_interrupted();
        body(i);
      } catch (...) {
        failed = true;
        const std::lock_guard lock(error_mutex);
        if (i < first_index) {
          first_index = i;
          first_error = std::current_exception();
        }
      }
    }
  });
  if (first_error) std::rethrow_exception(first_error);
}

ParallelFor ThreadPool::as_parallel_for() {
  return [this](std::int64_t count, const std::function<void(std::int64_t)>& body) {
    parallel_for(count, body);
  };
}

}  // namespace flatfield::execution
