#include "flatfield/pipeline/background_median.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/zarr/shard_writer.h"

namespace flatfield::pipeline {
namespace {

execution::ProcessGroup alone;

constexpr std::int64_t kPlenty = std::int64_t{1} << 40;

std::int64_t pick(std::mt19937& random, std::int64_t lo, std::int64_t hi) {
  return std::uniform_int_distribution<std::int64_t>(lo, hi)(random);
}

/// Knows how often each object, or range of one, was asked for.
class CountingStore final : public storage::Store {
 public:
  bool get(std::string_view key, Buffer& into) const override {
    count(std::string(key));
    return store_.get(key, into);
  }
  bool get_range(std::string_view key, storage::ByteRange range, Buffer& into) const override {
    count(std::string(key) + " from " + std::to_string(range.offset));
    return store_.get_range(key, range, into);
  }
  std::optional<std::uint64_t> get_tail(std::string_view key, std::uint64_t length, Buffer& into) const override {
    return store_.get_tail(key, length, into);
  }
  void put(std::string_view key, std::span<const std::byte> bytes) override { store_.put(key, bytes); }
  std::unique_ptr<storage::ObjectWriter> create(std::string_view key) override { return store_.create(key); }
  std::optional<std::uint64_t> size(std::string_view key) const override { return store_.size(key); }
  std::vector<std::string> list(std::string_view prefix) const override { return store_.list(prefix); }
  void erase(std::string_view key) override { store_.erase(key); }
  void erase_prefix(std::string_view prefix) override { store_.erase_prefix(prefix); }
  std::string describe(std::string_view key) const override { return store_.describe(key); }

  void forget() { reads_.clear(); }
  [[nodiscard]] const std::map<std::string, int>& reads() const { return reads_; }

 private:
  void count(const std::string& what) const {
    const std::scoped_lock lock(mutex_);
    ++reads_[what];
  }
  storage::MemoryStore store_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, int> reads_;
};

std::vector<zarr::Compressor> random_codec(std::mt19937& random) {
  const char* const names[] = {"blosclz", "lz4", "lz4hc", "zlib", "zstd"};
  switch (pick(random, 0, 3)) {
    case 0: return {};
    case 1: return {{"zstd", 1}};
    default:
      return {{"blosc", 1, names[pick(random, 0, 4)], static_cast<int>(pick(random, 0, 2)),
               static_cast<int>(pick(random, 0, 3)) * 256}};
  }
}

/// A volume of random voxels beside its array: plain or in shards, some chunks left out, perhaps the second of two
/// channels in the same chunks.
template <class T>
struct Stored {
  explicit Stored(std::mt19937& random, const Extent3& shape, const Extent3& chunk, bool whole = false)
      : voxels(shape, T{9}) {
    zarr::ArrayMetadata metadata;
    const std::int64_t channels = whole ? 1 : pick(random, 1, 2);
    const bool sharded = !whole && pick(random, 0, 2) == 0;
    metadata.shape = {channels, shape.z, shape.y, shape.x};
    metadata.chunk_shape = {channels, chunk.z, chunk.y, chunk.x};
    metadata.dtype = DTypeOf<T>::value;
    metadata.fill_value.assign(sizeof(T), std::byte{0});
    metadata.fill_value[0] = std::byte{9};
    metadata.codecs.compressors = random_codec(random);
    if (sharded) {
      metadata.zarr_format = 3;
      metadata.key_encoding = zarr::KeyEncoding::kDefault;
      metadata.shard_shape = {channels, chunk.z * 2, chunk.y, chunk.x * 3};
    }
    const zarr::Array array = zarr::Array::create(store, "a", metadata);
    const Extent3 grid = ceil_div(shape, chunk);
    std::map<std::string, std::vector<Extent3>> objects;
    for (std::int64_t i = 0; i < grid.volume(); ++i) {
      const Extent3 index = unravel(i, grid);
      objects[array.chunk_object_key({0, index.z, index.y, index.x})].push_back(index);
    }
    zarr::ChunkScratch scratch;
    for (const auto& [key, members] : objects) {
      std::unique_ptr<zarr::ShardWriter> shard;
      std::vector<std::size_t> order;
      for (const Extent3& c : members) order.push_back(array.number_in_object({0, c.z, c.y, c.x}));
      if (sharded)
        shard = std::make_unique<zarr::ShardWriter>(array, zarr::Shape{0, members[0].z, members[0].y, members[0].x},
                                                    order, std::make_shared<zarr::ReorderBuffer>(1 << 20));
      for (std::size_t i = 0; i < members.size(); ++i) {
        if (!whole && pick(random, 0, 4) == 0) {
          if (shard) shard->skip(order[i]);
          continue;
        }
        const Extent3& c = members[i];
        Block<T> values({channels * chunk.z, chunk.y, chunk.x});
        for (T& v : values.span()) v = static_cast<T>(pick(random, 0, 60) * pick(random, 0, 1100));
        const Box3 box = tile_box(c, chunk, shape);
        copy_block<T>(values.view().sub({{(channels - 1) * chunk.z, 0, 0}, box.shape}), voxels.view().sub(box));
        if (shard)
          shard->put(order[i], array.encode_chunk(std::as_bytes(values.span()), scratch));
        else
          array.write_chunk({0, c.z, c.y, c.x}, std::as_bytes(values.span()), scratch);
      }
      if (shard) shard->finish();
    }
    volume.emplace(zarr::Array::open(store, "a"), std::vector<std::int64_t>{channels - 1});
    store->forget();
  }

  [[nodiscard]] float median_at(const std::vector<std::int64_t>& planes, std::int64_t y, std::int64_t x) const {
    std::vector<double> values;
    for (const std::int64_t z : planes) values.push_back(voxels.at(z, y, x));
    std::ranges::sort(values);
    const std::size_t n = values.size();
    return static_cast<float>(n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2.0);
  }

  std::shared_ptr<CountingStore> store = std::make_shared<CountingStore>();
  Block<T> voxels;
  std::optional<ome::Volume> volume;
};

std::vector<std::int64_t> random_planes(std::mt19937& random, std::int64_t length) {
  std::vector<std::int64_t> planes;
  const std::int64_t rarity = pick(random, 1, 6);
  for (std::int64_t z = 0; z < length; ++z)
    if (pick(random, 1, rarity) == 1 || (z + 1 == length && planes.empty())) planes.push_back(z);
  return planes;
}

template <class T>
class BackgroundMedian : public testing::Test {};
using VoxelTypes = testing::Types<std::uint8_t, std::uint16_t>;
TYPED_TEST_SUITE(BackgroundMedian, VoxelTypes);

TYPED_TEST(BackgroundMedian, is_the_same_for_every_layout_budget_and_number_of_workers) {
  for (unsigned seed = 0; seed < 120; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const Extent3 shape{pick(random, 1, 30), pick(random, 1, 60), pick(random, 1, 50)};
    const Extent3 chunk{pick(random, 1, 12), pick(random, 1, 40), pick(random, 1, 40)};
    const Stored<TypeParam> stored(random, shape, chunk);
    const std::vector<std::int64_t> planes = random_planes(random, shape.z);
    const auto workers = static_cast<int>(pick(random, 1, 3));
    execution::ThreadPool pool(workers);
    const MedianPlan ample = plan_median(*stored.volume, planes, workers, kPlenty);
    for (const std::int64_t budget : {std::int64_t{0}, pick(random, ample.least_bytes, ample.bytes), kPlenty}) {
      const MedianPlan plan = plan_median(*stored.volume, planes, workers, budget);
      EXPECT_LE(plan.bytes, std::max(budget, plan.least_bytes));
      stored.store->forget();
      const Block<float> median = median_of_planes(*stored.volume, planes, plan, pool.as_parallel_for(), alone);
      ASSERT_EQ(median.shape(), (Extent3{1, shape.y, shape.x}));
      for (std::int64_t y = 0; y < shape.y; ++y)
        for (std::int64_t x = 0; x < shape.x; ++x)
          ASSERT_EQ(median.at(0, y, x), stored.median_at(planes, y, x)) << y << ", " << x << ", budget " << budget;
      if (budget < plan.single_read_bytes) continue;
      EXPECT_EQ(plan.chunk_reads, plan.chunks);
      for (const auto& [what, reads] : stored.store->reads()) EXPECT_EQ(reads, 1) << what;
    }
  }
}

TEST(BackgroundMedianPlan, says_which_chunks_are_read_and_how_often) {
  std::mt19937 random(1);
  const Stored<std::uint16_t> stored(random, {40, 70, 33}, {8, 32, 16}, true);
  const std::vector<std::int64_t> planes{0, 1, 7, 17, 39};  // of chunks 0, 2 and 4
  const auto reads = [&](std::int64_t budget) {
    const MedianPlan plan = plan_median(*stored.volume, planes, 1, budget);
    stored.store->forget();
    (void)median_of_planes(*stored.volume, planes, plan, serial_for, alone);
    EXPECT_EQ(stored.store->reads().size(), 27U);
    std::int64_t all = 0;
    for (const auto& [what, count] : stored.store->reads()) all += count;
    EXPECT_EQ(all, plan.chunk_reads) << budget;
    return all;
  };
  const MedianPlan ample = plan_median(*stored.volume, planes, 1, kPlenty);
  EXPECT_EQ(ample.chunks, 3 * 3 * 3);
  EXPECT_EQ(ample.share, 3.0 / 5.0);
  EXPECT_EQ(reads(kPlenty), 27);
  EXPECT_EQ(reads(ample.single_read_bytes), 27);
  // Strips of 256 of the 512 pixels; 6 rows of 16 pixels are left in the last chunks.
  EXPECT_EQ(reads(ample.single_read_bytes - 1), 3 * 3 * (2 + 2 + 1));
  EXPECT_EQ(reads(0), 3 * 3 * (2 + 2 + 1));
}

TEST(BackgroundMedianPlan, needs_no_more_for_more_planes_than_it_is_given) {
  std::mt19937 random(2);
  const Stored<std::uint16_t> stored(random, {300, 40, 40}, {4, 40, 40}, true);
  std::vector<std::int64_t> planes;
  const std::int64_t budget = plan_median(*stored.volume, std::vector<std::int64_t>(10), 2, kPlenty).bytes;
  for (std::int64_t z = 0; z < 300; ++z) {
    planes.push_back(z);
    const MedianPlan plan = plan_median(*stored.volume, planes, 2, budget);
    EXPECT_LE(plan.bytes, std::max(budget, plan.least_bytes)) << z;
  }
}

TEST(BackgroundMedianPlan, needs_at_least_what_is_known_before_planes_are_chosen) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const Extent3 shape{pick(random, 1, 30), pick(random, 1, 60), pick(random, 1, 50)};
    const Stored<std::uint16_t> stored(random, shape, {pick(random, 1, 12), pick(random, 1, 40), pick(random, 1, 40)});
    const std::int64_t least = least_median_bytes(stored.volume->array().metadata(), 2, false);
    EXPECT_LE(plan_median(*stored.volume, random_planes(random, shape.z), 2, 0).least_bytes, least) << seed;
    std::vector<std::int64_t> all;
    for (std::int64_t z = 0; z < shape.z; ++z) all.push_back(z);
    EXPECT_EQ(plan_median(*stored.volume, all, 2, 0).least_bytes, least) << seed;
  }
}

TEST(BackgroundMedianPlan, needs_no_room_for_chunks_that_are_not_fetched_ahead) {
  std::mt19937 random(4);
  const Stored<std::uint16_t> stored(random, {64, 40, 40}, {8, 40, 40}, true);
  const auto least = [&](const std::vector<std::int64_t>& planes) {
    return plan_median(*stored.volume, planes, 1, 0).least_bytes;
  };
  // Files of a disk are read one by one: how many layers of chunks the planes lie in makes no difference.
  EXPECT_EQ(least({0, 8, 16, 24}), least({0, 1, 2, 3}));
  const zarr::ArrayMetadata& metadata = stored.volume->array().metadata();
  EXPECT_GT(least_median_bytes(metadata, 1, true), least_median_bytes(metadata, 1, false));
}

TEST(BackgroundMedianTypes, other_than_uint8_and_uint16_are_refused) {
  std::mt19937 random(3);
  const Stored<float> stored(random, {2, 2, 2}, {2, 2, 2}, true);
  const std::vector<std::int64_t> planes{0};
  try {
    (void)median_of_planes(*stored.volume, planes, plan_median(*stored.volume, planes, 1, kPlenty), serial_for, alone);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace flatfield::pipeline
