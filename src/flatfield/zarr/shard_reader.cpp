#include "flatfield/zarr/shard_reader.h"

#include <algorithm>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"

namespace flatfield::zarr {
namespace {

/// Bytes between two chunks that are rather read than a second request made for what follows.
constexpr std::uint64_t kLargestGap = std::uint64_t{64} << 10;
/// Share of the bytes of a shard from which on all that lies between two chunks is read as well.
constexpr double kMostOfAShard = 0.6;
/// Bytes that are read with one request, unless a single chunk is larger.
constexpr std::uint64_t kLargestRequest = std::uint64_t{16} << 20;

struct Wanted {
  storage::ByteRange place;
  std::size_t position;  ///< in the list of numbers
};

/// Bytes between two chunks that may be read in vain.
std::uint64_t largest_gap(const std::vector<storage::ByteRange>& index,
                          const std::vector<Wanted>& wanted) {
  double stored_bytes = 0.0;
  double wanted_bytes = 0.0;
  for (const storage::ByteRange& place : index)
    if (!is_absent(place)) stored_bytes += static_cast<double>(place.length);
  for (const Wanted& chunk : wanted) wanted_bytes += static_cast<double>(chunk.place.length);
  return wanted_bytes >= kMostOfAShard * stored_bytes ? kLargestRequest : kLargestGap;
}

}  // namespace

ShardReader::ShardReader(std::shared_ptr<const storage::Store> store, ShardIndexCodec codec)
    : store_(std::move(store)),
      codec_(std::move(codec)),
      most_kept_(
          std::max<std::size_t>(1, static_cast<std::size_t>(kMostIndexBytes) / (codec_.size() * sizeof(storage::ByteRange)))) {}

ShardReader::IndexPtr ShardReader::read_index(const std::string& key, Buffer& into,
                                              CodecScratch& scratch) const {
  const std::size_t bytes = codec_.encoded_bytes();
  std::optional<std::uint64_t> object_bytes;
  {
    const StageScope reading(Stage::kRead);
    if (codec_.is_at_end()) {
      object_bytes = store_->get_tail(key, bytes, into);
    } else {
      object_bytes = store_->size(key);
      if (object_bytes && !store_->get_range(key, {0, bytes}, into)) object_bytes.reset();
    }
  }
  auto index = std::make_shared<Index>();
  if (!object_bytes) return index;
  count_bytes_read(static_cast<std::int64_t>(bytes));
  const StageScope decoding(Stage::kDecode);
  codec_.decode(into.span(), *object_bytes, scratch, *index);
  return index;
}

ShardReader::IndexPtr ShardReader::index_of(const std::string& key, Buffer& into,
                                            CodecScratch& scratch) const {
  {
    const std::scoped_lock lock(mutex_);
    if (const auto it = kept_.find(key); it != kept_.end()) {
      recent_.splice(recent_.begin(), recent_, it->second.place);
      return it->second.index;
    }
  }
  // Two threads may read the same index at the same time: that is cheaper than having all wait.
  const IndexPtr index = read_index(key, into, scratch);
  const std::scoped_lock lock(mutex_);
  if (kept_.find(key) != kept_.end()) return index;
  recent_.push_front(key);
  kept_.emplace(key, Kept{index, recent_.begin()});
  if (kept_.size() > most_kept_) {
    kept_.erase(recent_.back());
    recent_.pop_back();
  }
  return index;
}

void ShardReader::fail_vanished(const std::string& key) const {
  throw Error(ErrorCode::kReadFailed, "the shard vanished while it was read", store_->describe(key),
              "let nothing else write to it and start again");
}

bool ShardReader::get(const std::string& key, std::size_t number, Buffer& into,
                      CodecScratch& scratch) const {
  const IndexPtr index = index_of(key, into, scratch);
  if (index->empty() || is_absent((*index)[number])) return false;
  const StageScope reading(Stage::kRead);
  if (!store_->get_range(key, (*index)[number], into)) fail_vanished(key);
  count_bytes_read(static_cast<std::int64_t>(into.size()));
  return true;
}

void ShardReader::get_many(const std::string& key, std::span<const std::size_t> numbers,
                           Buffer& into, CodecScratch& scratch, const Visit& visit) const {
  const IndexPtr index = index_of(key, into, scratch);
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (index->empty() || is_absent((*index)[numbers[i]]))
      visit(i, nullptr);
    else
      wanted.push_back({(*index)[numbers[i]], i});
  }
  std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
    return std::pair(a.place.offset, a.position) < std::pair(b.place.offset, b.position);
  });
  const std::uint64_t most_between = largest_gap(*index, wanted);
  for (std::size_t first = 0; first < wanted.size();) {
    const std::uint64_t begin = wanted[first].place.offset;
    std::uint64_t end = begin + wanted[first].place.length;
    std::size_t last = first + 1;
    for (; last < wanted.size(); ++last) {
      const storage::ByteRange& next = wanted[last].place;
      const std::uint64_t next_end = std::max(end, next.offset + next.length);
      if (next.offset > end + most_between || next_end - begin > kLargestRequest) break;
      end = next_end;
    }
    {
      const StageScope reading(Stage::kRead);
      if (!store_->get_range(key, {begin, end - begin}, into)) fail_vanished(key);
      count_bytes_read(static_cast<std::int64_t>(into.size()));
    }
    for (; first < last; ++first) {
      const std::span<const std::byte> bytes = std::as_const(into).span().subspan(
          wanted[first].place.offset - begin, wanted[first].place.length);
      visit(wanted[first].position, &bytes);
    }
  }
}

}  // namespace flatfield::zarr
