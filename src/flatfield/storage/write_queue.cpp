#include "flatfield/storage/write_queue.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <system_error>
#include <utility>

namespace flatfield::storage {
namespace {

/// Below this the allocator is quick; above it, fresh memory costs more than the copy into it.
constexpr std::size_t kWorthKeeping = std::size_t{64} << 10U;

/// Memory for an object of `bytes` bytes: of a few sizes, so that what one leaves suits the next.
std::size_t room_for(std::size_t bytes) {
  if (bytes < kWorthKeeping) return bytes;
  const std::size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

}  // namespace

WriteQueue::WriteQueue(Write write, int threads, std::size_t most_bytes)
    : write_(std::move(write)),
      most_threads_(static_cast<std::size_t>(std::max(1, threads))),
      most_bytes_(most_bytes) {}

WriteQueue::~WriteQueue() {
  Objects dropped;
  {
    const std::scoped_lock lock(mutex_);
    waiting_.swap(dropped);
  }
  for (std::jthread& thread : threads_) thread.request_stop();
}

void WriteQueue::push(const std::string& key, std::span<const std::byte> bytes, Turn turn) {
  const std::size_t room = room_for(bytes.size());
  if (room > most_bytes_) return write_from_caller(key, bytes, turn);
  Objects made;
  Objects dropped;  // freed when the lock is not held any more
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const bool has_room = keys_.empty() || bytes_ + room + kObjectBytes <= most_bytes_;
    // Where one object takes its time, what has been done after it is not to pile up: it could all be in vain.
    const bool has_turn = turn == Turn::kAny || numbers_.size() - others_.size() < most_threads_;
    return failure_ || (has_room && has_turn && !keys_.contains(key));
  });
  rethrow_failure();
  if (unbegun_ >= idle_ && threads_.size() < most_threads_) start_thread();
  if (threads_.empty()) {  // in the queue it would be waited for in vain
    lock.unlock();
    return write_from_caller(key, bytes, turn);
  }
  const std::uint64_t number = next_number_++;
  bytes_ += room + kObjectBytes;
  ++unbegun_;
  try {
    enter(key, number, turn);
    take_spare(room, made);
    trim_spare(dropped);
    lock.unlock();
    // Without the lock, which all who write and all who read need; before there is more memory, what made room for it goes.
    dropped.clear();
    if (made.empty()) made.emplace_back();
    Object& object = made.front();
    object.key = key;
    object.number = number;
    object.turn = turn;
    object.room = room;
    const std::span<std::byte> copy = object.bytes.resize(room);
    if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
    object.bytes.truncate(bytes.size());
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    --unbegun_;
    release(key, number, turn, room);
    throw;
  }
  lock.lock();
  waiting_.splice(waiting_.end(), made);
  changed_.notify_all();
}

void WriteQueue::flush() {
  if (objects_ == 0) return;  // the usual case, for every reading of a store that nobody writes to
  std::unique_lock lock(mutex_);
  // What others push meanwhile is not waited for: they might never come to an end.
  const std::uint64_t end = next_number_;
  changed_.wait(lock, [&] { return failure_ || numbers_.empty() || *numbers_.begin() >= end; });
  rethrow_failure();
}

void WriteQueue::flush(std::string_view key) {
  if (objects_ == 0) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || !keys_.contains(key); });
  rethrow_failure();
}

void WriteQueue::start_thread() {
  try {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // Those that there are do the work.
  }
}

void WriteQueue::write_from_caller(const std::string& key, std::span<const std::byte> bytes, Turn turn) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || !keys_.contains(key); });
  rethrow_failure();
  const std::uint64_t number = next_number_++;
  bytes_ += kObjectBytes;
  try {
    enter(key, number, turn);
    changed_.wait(lock, [&] { return may_begin(number, turn) || (turn == Turn::kAfterOthers && failure_); });
    if (turn == Turn::kAfterOthers) rethrow_failure();
    lock.unlock();
    write_(key, bytes);
    lock.lock();
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    if (!failure_) failure_ = std::current_exception();
    release(key, number, turn, 0);
    throw;
  }
  release(key, number, turn, 0);
}

void WriteQueue::work(const std::stop_token& stop) {
  for (;;) {
    Objects taken;  // freed when the lock is not held any more
    std::unique_lock lock(mutex_);
    ++idle_;
    changed_.wait(lock, stop, [this] { return next() != waiting_.end(); });
    --idle_;
    if (stop.stop_requested()) return;
    taken.splice(taken.end(), waiting_, next());
    --unbegun_;
    const Object& object = taken.front();
    // What says that the others are there must not be written where one of them is not.
    const bool is_in_vain = object.turn == Turn::kAfterOthers && failure_;
    std::exception_ptr failure;
    lock.unlock();
    try {
      if (!is_in_vain) write_(object.key, object.bytes.span());
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && !failure_) failure_ = failure;
    release(object.key, object.number, object.turn, object.room);
    if (object.room >= kWorthKeeping) {
      spare_bytes_ += object.room + kObjectBytes;
      spare_.splice(spare_.end(), taken);
      trim_spare(taken);
    }
  }
}

bool WriteQueue::may_begin(std::uint64_t number, Turn turn) const {
  return turn == Turn::kAny || others_.empty() || *others_.begin() > number;
}

WriteQueue::Objects::const_iterator WriteQueue::next() const {
  return std::find_if(waiting_.begin(), waiting_.end(),
                      [this](const Object& object) { return may_begin(object.number, object.turn); });
}

void WriteQueue::enter(const std::string& key, std::uint64_t number, Turn turn) {
  keys_.insert(key);
  numbers_.insert(number);
  if (turn == Turn::kAny) others_.insert(number);
  objects_ = keys_.size();
}

void WriteQueue::release(const std::string& key, std::uint64_t number, Turn turn, std::size_t room) {
  keys_.erase(key);
  numbers_.erase(number);
  if (turn == Turn::kAny) others_.erase(number);
  // Once a write has failed, `flush` must not pass for want of objects.
  objects_ = failure_ ? 1 : keys_.size();
  bytes_ -= room + kObjectBytes;
  changed_.notify_all();
}

void WriteQueue::take_spare(std::size_t room, Objects& into) {
  const auto found = std::find_if(spare_.begin(), spare_.end(),
                                  [&](const Object& spare) { return spare.room == room; });
  if (found == spare_.end()) return;
  spare_bytes_ -= room + kObjectBytes;
  into.splice(into.end(), spare_, found);
}

void WriteQueue::trim_spare(Objects& dropped) {
  // The oldest first. No more than threads that may give back at the same moment: they are searched under the lock.
  while (!spare_.empty() && (bytes_ + spare_bytes_ > most_bytes_ || spare_.size() > most_threads_)) {
    spare_bytes_ -= spare_.front().room + kObjectBytes;
    dropped.splice(dropped.end(), spare_, spare_.begin());
  }
}

void WriteQueue::rethrow_failure() const {
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace flatfield::storage
