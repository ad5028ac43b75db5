#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "flatfield/core/buffer.h"

namespace flatfield::storage {

/// Objects on their way to a server, so that who makes them need not wait for it. Bounded in bytes.
/// Two objects of one key are written in the order in which they came. May be used from several
/// threads at once; not from a forked process, which has none of the threads that write.
class WriteQueue {
 public:
  using Write = std::function<void(const std::string& key, std::span<const std::byte> bytes)>;
  /// When an object may be written.
  enum class Turn {
    kAny,         ///< beside others
    kAfterOthers  ///< when all of kAny that came before it are written; never where one of them could not be
  };

  /// `write` is called from at most `threads` threads, which are started as they are needed.
  WriteQueue(Write write, int threads, std::size_t most_bytes);
  /// What has not been begun is dropped: who needs to know of every object calls `flush`.
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  /// Takes a copy of an object; waits while there is no room for it, or, where it comes after others, while as many
  /// such objects as threads do. An object larger than the queue is written by the caller in its turn, without a copy;
  /// so is any where no thread can be started. Throws what an earlier write threw, or the one of such an object.
  void push(const std::string& key, std::span<const std::byte> bytes, Turn turn = Turn::kAny);
  /// Waits until all that was pushed before this call is written. Throws what a write threw.
  void flush();
  /// The same of the objects of one key.
  void flush(std::string_view key);

 private:
  struct Object {
    std::string key;
    std::uint64_t number = 0;  ///< in the order of pushing
    Turn turn = Turn::kAny;
    Buffer bytes;
    std::size_t room = 0;  ///< that `bytes` takes
  };
  using Objects = std::list<Object>;  ///< which pass from one to another without being allocated
  /// Key, number and place in the queue of an object, about.
  static constexpr std::size_t kObjectBytes = 512;

  void start_thread();
  void work(const std::stop_token& stop);
  /// Writes an object that is not queued, in the order of all others.
  void write_from_caller(const std::string& key, std::span<const std::byte> bytes, Turn turn);

  // Under the lock:
  [[nodiscard]] bool may_begin(std::uint64_t number, Turn turn) const;
  /// The first object that may be written now.
  [[nodiscard]] Objects::const_iterator next() const;
  /// From here on an object counts: `flush` waits for it, and another one of its key must.
  void enter(const std::string& key, std::uint64_t number, Turn turn);
  /// Ends what `push` began for an object.
  void release(const std::string& key, std::uint64_t number, Turn turn, std::size_t room);
  /// Takes memory of this size, if there is any.
  void take_spare(std::size_t room, Objects& into);
  /// Drops memory that would be more than the bound, together with the objects.
  void trim_spare(Objects& dropped);
  void rethrow_failure() const;

  Write write_;
  const std::size_t most_threads_;
  const std::size_t most_bytes_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Objects waiting_;
  std::size_t unbegun_ = 0;              ///< objects that wait, or are still being copied
  Objects spare_;                        ///< memory of objects that were written, for those to come
  std::size_t spare_bytes_ = 0;
  std::set<std::string, std::less<>> keys_;  ///< of the objects that are copied, wait or are being written
  std::set<std::uint64_t> numbers_;      ///< of the same
  std::set<std::uint64_t> others_;       ///< of these, of those that may be written at any time
  std::uint64_t next_number_ = 0;
  std::atomic<std::size_t> objects_{0};  ///< as many as there are keys
  std::size_t bytes_ = 0;                ///< of these objects, with what is kept of each
  std::size_t idle_ = 0;                 ///< threads that wait for an object
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;  ///< last, so that they end first
};

}  // namespace flatfield::storage
