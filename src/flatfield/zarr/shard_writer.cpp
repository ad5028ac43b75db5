#include "flatfield/zarr/shard_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "flatfield/core/crc32c.h"
#include "flatfield/core/stage_clock.h"

namespace flatfield::zarr {
namespace {

constexpr std::size_t kNotListed = std::numeric_limits<std::size_t>::max();

}  // namespace

ReorderBuffer::Bytes ReorderBuffer::keep(std::span<const std::byte> encoded) {
  Bytes kept;
  if (!spare_.empty()) {
    kept = std::move(spare_.back());
    spare_.pop_back();
    spare_bytes_ -= kept.capacity();
  }
  kept.assign(encoded.begin(), encoded.end());
  used_ += kept.capacity();
  trim();
  most_held_ = std::max(most_held_, used_ + spare_bytes_);
  return kept;
}

void ReorderBuffer::give_back(Bytes kept) {
  used_ -= kept.capacity();
  spare_bytes_ += kept.capacity();
  spare_.push_back(std::move(kept));
  trim();
}

void ReorderBuffer::trim() {
  while (!spare_.empty() && used_ + spare_bytes_ > bytes_) {
    spare_bytes_ -= spare_.back().capacity();
    spare_.pop_back();
  }
}

ShardWriter::ShardWriter(const Array& array, const Shape& index, std::vector<std::size_t> order,
                         std::shared_ptr<ReorderBuffer> buffer, std::function<void()> check)
    : store_(array.shared_store()),
      key_(array.chunk_object_key(index)),
      index_codec_(array.metadata().shard_index, array.metadata().chunks_per_object()),
      order_(std::move(order)),
      ranks_(index_codec_.size(), kNotListed),
      buffer_(std::move(buffer)),
      check_(std::move(check)),
      places_(index_codec_.size(), kAbsentChunk) {
  for (std::size_t rank = 0; rank < order_.size(); ++rank) {
    const std::size_t number = order_[rank];
    if (number >= ranks_.size() || ranks_[number] != kNotListed)
      throw Error(ErrorCode::kInternal,
                  fmt::format("chunk {} cannot be stored at {} of a shard", number, rank),
                  store_->describe(key_));
    ranks_[number] = rank;
  }
}

ShardWriter::~ShardWriter() = default;

void ShardWriter::put(std::size_t number, std::span<const std::byte> encoded) {
  add(number, &encoded);
}

void ShardWriter::skip(std::size_t number) { add(number, nullptr); }

void ShardWriter::add(std::size_t number, const std::span<const std::byte>* encoded) {
  const std::size_t rank = number < ranks_.size() ? ranks_[number] : kNotListed;
  const std::size_t bytes = encoded == nullptr ? 0 : encoded->size();
  Lock lock(buffer_->mutex_);
  if (rank == kNotListed || rank < next_ || waiting_.contains(rank))
    throw Error(ErrorCode::kInternal, fmt::format("chunk {} of a shard came unasked", number),
                store_->describe(key_));
  const auto is_next = [&] { return rank == next_ && !writing_; };
  {
    const StageScope waiting(Stage::kWait);
    buffer_->changed_.wait(
        lock, [&] { return failure_ || is_next() || buffer_->has_room_for(bytes); });
  }
  throw_if_failed();
  if (is_next()) return drain(lock, encoded);
  try {
    // The copy first: another thread may complete the shard with what it finds here.
    std::optional<Bytes> kept;
    if (encoded != nullptr) kept = buffer_->keep(*encoded);
    waiting_.emplace(rank, std::move(kept));
  } catch (...) {
    note_failure();
    throw;
  }
}

void ShardWriter::drain(Lock& lock, const std::span<const std::byte>* encoded) {
  writing_ = true;
  try {
    drain_waiting(lock, encoded);
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    writing_ = false;
    note_failure();
    throw;
  }
  writing_ = false;
  buffer_->changed_.notify_all();
}

void ShardWriter::drain_waiting(Lock& lock, const std::span<const std::byte>* encoded) {
  if (encoded != nullptr) write_next(lock, *encoded);
  ++next_;
  for (auto it = waiting_.find(next_); it != waiting_.end(); it = waiting_.find(next_)) {
    std::optional<Bytes> kept = std::move(it->second);
    waiting_.erase(it);
    if (kept) {
      write_next(lock, *kept);
      buffer_->give_back(std::move(*kept));
    }
    ++next_;
    buffer_->changed_.notify_all();
  }
  // At once: what is behind the writer (a file, parts of an upload) is not held longer than needed.
  if (next_ == order_.size() && writer_) unlocked(lock, [this] { complete(); });
}

void ShardWriter::write_next(Lock& lock, std::span<const std::byte> encoded) {
  unlocked(lock, [&, number = order_[next_]] { append(number, encoded); });
}

template <class Work>
void ShardWriter::unlocked(Lock& lock, Work work) {
  lock.unlock();
  work();
  lock.lock();
}

void ShardWriter::append(std::size_t number, std::span<const std::byte> encoded) {
  const StageScope writing(Stage::kWrite);
  if (!writer_) writer_ = store_->create(key_);
  writer_->append(encoded);
  places_[number] = {written_bytes_, encoded.size()};
  written_bytes_ += encoded.size();
  crc32c_ = crc32c(encoded, crc32c_);
  count_bytes_written(static_cast<std::int64_t>(encoded.size()));
}

std::optional<WrittenShard> ShardWriter::finish() {
  const Lock lock(buffer_->mutex_);
  throw_if_failed();
  if (next_ != order_.size())
    throw Error(ErrorCode::kInternal,
                fmt::format("{} of {} chunks of a shard have come", next_, order_.size()),
                store_->describe(key_));
  return written_;
}

void ShardWriter::complete() {
  const StageScope writing(Stage::kWrite);
  CodecScratch scratch;
  const std::span<const std::byte> index = index_codec_.encode(places_, scratch);
  writer_->append(index);
  if (check_) check_();
  writer_->commit();
  writer_.reset();
  count_bytes_written(static_cast<std::int64_t>(index.size()));
  written_ = WrittenShard{written_bytes_ + index.size(), crc32c(index, crc32c_)};
}

void ShardWriter::abandon(const std::exception_ptr& cause) {
  const Lock lock(buffer_->mutex_);
  if (!failure_) failure_ = cause;
  buffer_->changed_.notify_all();
}

void ShardWriter::note_failure() noexcept {
  if (!failure_) failure_ = std::current_exception();
  buffer_->changed_.notify_all();
}

void ShardWriter::throw_if_failed() const {
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace flatfield::zarr
