#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/storage/store.h"
#include "flatfield/zarr/array.h"
#include "flatfield/zarr/shard_index.h"

namespace flatfield::zarr {

/// Memory for chunks that came too early, shared by the shards that are written at the same time.
class ReorderBuffer {
 public:
  explicit ReorderBuffer(std::size_t bytes) : bytes_(bytes) {}
  /// The most bytes that were held: chunks, and memory for those to come.
  [[nodiscard]] std::size_t most_held() const {
    const std::scoped_lock lock(mutex_);
    return most_held_;
  }

 private:
  friend class ShardWriter;
  using Bytes = std::vector<std::byte>;

  // Under the lock:
  [[nodiscard]] bool has_room_for(std::size_t bytes) const { return used_ + bytes <= bytes_; }
  [[nodiscard]] Bytes keep(std::span<const std::byte> encoded);
  void give_back(Bytes kept);
  /// Frees memory for chunks to come that exceeds the bound.
  void trim();

  std::size_t bytes_;
  mutable std::mutex mutex_;  ///< of the buffer, and of what the writers that share it know
  std::condition_variable changed_;
  std::size_t used_ = 0;       ///< by chunks that are kept, with the rest of their rooms
  std::vector<Bytes> spare_;   ///< memory for those to come
  std::size_t spare_bytes_ = 0;
  std::size_t most_held_ = 0;
};

/// Size and CRC-32C of a shard that was written.
struct WrittenShard {
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;
};

/// Writes one shard of an array while its chunks are being made. They may come in any order and
/// from several threads, and lie in the shard in the order that was said at the beginning: its
/// bytes depend on neither. What has come goes to the store at once and is never read back; only
/// chunks that have to wait for others are kept, in a buffer that is bounded.
///
/// A thread that puts a chunk for which there is no room waits until the ones before it have come.
/// So that this comes to an end, threads take up chunks in about the order of the shard: one that
/// has waited for a chunk must not be the one to make it.
class ShardWriter {
 public:
  /// `index` is a chunk of the shard; `order` lists the chunks that will be put, by their place in
  /// the shard in C order, in the order in which they are stored. Chunks that are not listed are
  /// left out. The index of the shard comes at its end. `check` is called before the shard takes its
  /// place in the store, by whoever completes it: if it throws, it does not.
  ShardWriter(const Array& array, const Shape& index, std::vector<std::size_t> order,
              std::shared_ptr<ReorderBuffer> buffer, std::function<void()> check = {});
  ~ShardWriter();

  /// Adds the encoded bytes of the chunk at `number` (each once). Throws Error(kWriteFailed), and what
  /// another thread has failed with; Error(kInternal) for a chunk that is not in the order.
  void put(std::size_t number, std::span<const std::byte> encoded);
  /// Leaves out a chunk that is in the order: it reads as the fill value.
  void skip(std::size_t number);
  /// To be called after all chunks have come: whoever put the last of them has completed the shard,
  /// unless all were left out. Throws what another thread has failed with, Error(kInternal) if chunks
  /// are missing. Returns what was written.
  std::optional<WrittenShard> finish();
  /// Gives up the shard because of `cause`, not null: threads that wait throw it, and so do later calls. So the one that
  /// ends first says what happened, whichever it is.
  void abandon(const std::exception_ptr& cause);

 private:
  using Bytes = ReorderBuffer::Bytes;
  using Lock = std::unique_lock<std::mutex>;

  /// `encoded` is null for a chunk that is left out.
  void add(std::size_t number, const std::span<const std::byte>* encoded);
  /// Writes the next chunk, and then those that wait for it. Unlocks while it writes.
  void drain(Lock& lock, const std::span<const std::byte>* encoded);
  void drain_waiting(Lock& lock, const std::span<const std::byte>* encoded);
  /// Makes the exception that is being handled that of all threads.
  void note_failure() noexcept;
  /// Does `work` without the lock, which is not held if it throws; only the thread that has set writing_ may.
  template <class Work>
  void unlocked(Lock& lock, Work work);
  /// Writes chunk next_.
  void write_next(Lock& lock, std::span<const std::byte> encoded);
  /// Writes the index behind the chunks.
  void complete();
  void append(std::size_t number, std::span<const std::byte> encoded);
  void throw_if_failed() const;

  std::shared_ptr<storage::Store> store_;
  std::string key_;
  ShardIndexCodec index_codec_;
  std::vector<std::size_t> order_;
  std::vector<std::size_t> ranks_;  ///< place of each chunk in order_
  std::shared_ptr<ReorderBuffer> buffer_;
  std::function<void()> check_;  ///< may be empty

  std::unique_ptr<storage::ObjectWriter> writer_;  ///< null until the first chunk
  std::uint64_t written_bytes_ = 0;
  std::uint32_t crc32c_ = 0;
  std::optional<WrittenShard> written_;  ///< once it is complete
  std::vector<storage::ByteRange> places_;

  // Under the lock of the buffer:
  std::size_t next_ = 0;                                 ///< rank of the chunk that is written next
  bool writing_ = false;                                 ///< a thread is writing chunk next_
  std::map<std::size_t, std::optional<Bytes>> waiting_;  ///< by rank; none = left out
  std::exception_ptr failure_;                           ///< the first, of whichever thread
};

}  // namespace flatfield::zarr
