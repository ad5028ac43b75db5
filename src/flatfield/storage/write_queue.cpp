#include "flatfield/storage/write_queue.h"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

namespace flatfield::storage {

WriteQueue::WriteQueue(Write write, int threads, std::size_t most_bytes)
    : write_(std::move(write)),
      most_threads_(static_cast<std::size_t>(std::max(1, threads))),
      most_bytes_(most_bytes) {}

WriteQueue::~WriteQueue() {
  {
    const std::scoped_lock lock(mutex_);
    waiting_.clear();
  }
  for (std::jthread& thread : threads_) thread.request_stop();
}

void WriteQueue::push(const std::string& key, std::span<const std::byte> bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const bool has_room = keys_.empty() || bytes_ + bytes.size() + kObjectBytes <= most_bytes_;
    return failure_ || (has_room && !keys_.contains(key));
  });
  rethrow_failure();
  if (waiting_.size() >= idle_ && threads_.size() < most_threads_) start_thread();
  Object object;
  object.key = key;
  object.number = next_number_++;
  const std::span<std::byte> copy = object.bytes.resize(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
  keys_.insert(key);
  numbers_.insert(object.number);
  waiting_.push_back(std::move(object));
  objects_ = keys_.size();
  bytes_ += bytes.size() + kObjectBytes;
  changed_.notify_all();
}

void WriteQueue::start_thread() {
  try {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  } catch (const std::system_error&) {
    // Those that there are do the work; without any, an object in the queue would be waited for in vain.
    if (threads_.empty()) throw;
  }
}

void WriteQueue::flush() {
  if (objects_ == 0) return;  // the usual case, for every reading of a store that nobody writes to
  std::unique_lock lock(mutex_);
  // What others push meanwhile is not waited for: they might never come to an end.
  const std::uint64_t end = next_number_;
  changed_.wait(lock, [&] { return failure_ || numbers_.empty() || *numbers_.begin() >= end; });
  rethrow_failure();
}

void WriteQueue::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
    --idle_;
    if (stop.stop_requested()) return;
    Object object = std::move(waiting_.front());
    waiting_.pop_front();
    std::exception_ptr failure;
    lock.unlock();
    try {
      write_(object.key, object.bytes.span());
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && !failure_) failure_ = failure;
    keys_.erase(object.key);
    numbers_.erase(object.number);
    // Once a write has failed, `flush` must not pass for want of objects.
    objects_ = failure_ ? 1 : keys_.size();
    bytes_ -= object.bytes.size() + kObjectBytes;
    changed_.notify_all();
  }
}

void WriteQueue::rethrow_failure() const {
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace flatfield::storage
