#pragma once

// What the tests of volume_stage.h share: pyramids to write, the same ones made naively, and the check of one.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/volume_stage.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::pipeline::testing_support {

using Kind = numerics::WindowReducer::Kind;

inline constexpr std::int64_t kPlenty = std::int64_t{1} << 30;

/// A store in memory that counts what is asked of it.
class CountingStore : public storage::Store {
 public:
  bool get(std::string_view key, Buffer& into) const override {
    note(reads, key);
    return store_.get(key, into);
  }
  bool get_range(std::string_view key, storage::ByteRange range, Buffer& into) const override {
    note(reads, key);
    return store_.get_range(key, range, into);
  }
  std::optional<std::uint64_t> get_tail(std::string_view key, std::uint64_t length,
                                        Buffer& into) const override {
    note(reads, key);
    return store_.get_tail(key, length, into);
  }
  void put(std::string_view key, std::span<const std::byte> bytes) override {
    if (key == refused_key) throw Error(ErrorCode::kWriteFailed, "refused", key);
    note(writes, key);
    store_.put(key, bytes);
  }
  void put_soon(std::string_view key, std::span<const std::byte> bytes) override {
    if (!writes_late) return put(key, bytes);
    const std::lock_guard lock(mutex_);
    late_.emplace_back(key, std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  void put_last(std::string_view key, std::span<const std::byte> bytes) override { put_soon(key, bytes); }
  void flush() override {
    for (const auto& [key, bytes] : std::exchange(late_, {})) put(key, bytes);
  }
  std::unique_ptr<storage::ObjectWriter> create(std::string_view key) override {
    if (key == refused_key) throw Error(ErrorCode::kWriteFailed, "refused", key);
    note(writes, key);
    return store_.create(key);
  }
  std::optional<std::uint64_t> size(std::string_view key) const override {
    return store_.size(key);
  }
  std::vector<std::string> list(std::string_view prefix) const override {
    return store_.list(prefix);
  }
  void erase(std::string_view key) override { store_.erase(key); }
  void erase_prefix(std::string_view prefix) override { store_.erase_prefix(prefix); }
  std::string describe(std::string_view key) const override { return store_.describe(key); }

  using Counts = std::map<std::string, int, std::less<>>;
  mutable Counts reads;
  mutable Counts writes;
  std::string refused_key;
  bool writes_late = false;  ///< nothing that is put soon or last is there before `flush`

 private:
  void note(Counts& counts, std::string_view key) const {
    const std::lock_guard lock(mutex_);
    ++counts[std::string(key)];
  }
  storage::MemoryStore store_;
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, std::vector<std::byte>>> late_;
};

/// What a pyramid is made of and how.
struct Case {
  Extent3 shape;
  Extent3 chunk_shape;
  std::optional<Extent3> shard_chunks;  ///< chunks of a shard; none = no shards
  int level_count = 1;
  numerics::WindowReducer reducer;
  bool compressed = false;
  unsigned seed = 0;
  unsigned most = 65535;  ///< largest value
};

inline std::optional<Extent3> shard_shape(const Case& c) {
  if (!c.shard_chunks) return std::nullopt;
  return *c.shard_chunks * c.chunk_shape;
}

inline std::string describe(const Case& c) {
  return "shape " + to_string(c.shape) + " chunks " + to_string(c.chunk_shape) +
         (c.shard_chunks ? " shards of " + to_string(*c.shard_chunks) + " chunks" : "") + " levels " +
         std::to_string(c.level_count) + " seed " + std::to_string(c.seed);
}

/// Voxels that depend on their place alone, and are there when they are finished; counts how often each is read and
/// finished.
template <class T>
class HashedSource : public VoxelSource<T> {
 public:
  explicit HashedSource(const Case& c)
      : case_(c), reads_(static_cast<std::size_t>(c.shape.volume())), finishes_(reads_.size()) {}

  [[nodiscard]] T value(const Extent3& p) const {
    auto x = static_cast<std::uint64_t>(ravel(p, case_.shape)) +
             case_.seed * 977ULL;
    x = (x ^ (x >> 12)) * 0x9E3779B97F4A7C15ULL;
    return static_cast<T>((x >> 40) % (case_.most + 1));
  }
  void read(const Box3& box, BlockView<T> out, int /*worker*/) override {
    for_each_voxel(box, out, reads_, [](T& voxel, const Extent3&) { voxel = T{0}; });
  }
  void finish(const Box3& slab, BlockView<T> out, int /*worker*/) override {
    for_each_voxel(slab, out, finishes_, [this](T& voxel, const Extent3& p) { voxel = value(p); });
  }
  [[nodiscard]] bool made_each_voxel_once() const {
    const auto is_one = [](const auto& n) { return n == 1; };
    return std::ranges::all_of(reads_, is_one) && std::ranges::all_of(finishes_, is_one);
  }

 private:
  using Counts = std::vector<std::atomic<std::uint8_t>>;  ///< one per voxel

  /// Calls f(voxel, its place) for all voxels of a box, and counts them.
  template <class F>
  void for_each_voxel(const Box3& box, BlockView<T> out, Counts& counts, F f) const {
    for (std::int64_t i = 0; i < out.size(); ++i) {
      const Extent3 in_box = unravel(i, out.shape);
      const Extent3 p = box.origin + in_box;
      f(out.at(in_box.z, in_box.y, in_box.x), p);
      ++counts[static_cast<std::size_t>(ravel(p, case_.shape))];
    }
  }

  Case case_;
  Counts reads_;
  Counts finishes_;
};

template <class T>
T reduce_naively(std::array<T, 8> window, const numerics::WindowReducer& reducer) {
  std::ranges::sort(window);
  if (reducer.kind == Kind::kRank)
    return window[static_cast<std::size_t>(reducer.rank < 0 ? reducer.rank + 8 : reducer.rank)];
  if (reducer.kind == Kind::kMean) {
    double sum = 0;
    for (const T v : window) sum += static_cast<double>(v);
    return static_cast<T>(std::is_integral_v<T> ? std::nearbyint(sum / 8) : sum / 8);
  }
  T best = window[0];
  for (const T v : window)
    if (std::ranges::count(window, v) > std::ranges::count(window, best)) best = v;
  return best;
}

template <class T>
std::vector<Block<T>> naive_pyramid(const Case& c) {
  const HashedSource<T> source(c);
  std::vector<Block<T>> levels;
  levels.emplace_back(c.shape);
  for (std::int64_t i = 0; i < c.shape.volume(); ++i)
    levels[0].data()[i] = source.value(unravel(i, c.shape));
  while (static_cast<int>(levels.size()) < c.level_count) {
    const Block<T>& finer = levels.back();
    Block<T> level(floor_div(finer.shape(), 2));
    for (std::int64_t i = 0; i < level.size(); ++i) {
      const Extent3 p = unravel(i, level.shape()) * 2;
      std::array<T, 8> window;
      for (std::int64_t k = 0; k < 8; ++k)
        window[static_cast<std::size_t>(k)] = finer.at(p.z + k / 4, p.y + k / 2 % 2, p.x + k % 2);
      level.data()[i] = reduce_naively(window, c.reducer);
    }
    levels.push_back(std::move(level));
  }
  return levels;
}

/// An empty 5-D pyramid in a store of its own; the volume under test is t 0, c 1.
template <class T>
struct Output {
  explicit Output(const Case& c) {
    target.name = "test";
    int level = 0;
    for (const Extent3& shape : pyramid_shapes(c.shape, c.level_count)) {
      const Extent3 chunk = min(c.chunk_shape, shape);
      zarr::ArrayMetadata metadata;
      metadata.shape = {1, 2, shape.z, shape.y, shape.x};
      metadata.chunk_shape = {1, 1, chunk.z, chunk.y, chunk.x};
      metadata.dtype = DTypeOf<T>::value;
      if (c.shard_chunks) {
        const Extent3 shard = min(*c.shard_chunks, ceil_div(shape, chunk)) * chunk;
        metadata.zarr_format = 3;
        metadata.shard_shape = {1, 1, shard.z, shard.y, shard.x};
      }
      if (c.compressed) metadata.codecs.compressors = {zarr::Compressor{"blosc", 1}};
      target.levels.emplace_back(zarr::Array::create(store, std::to_string(level++), metadata),
                                 std::vector<std::int64_t>{0, 1});
    }
    target.reducer = c.reducer;
    target.chunk_shape = c.chunk_shape;
    target.shard_shape = shard_shape(c);
    target.store = store;
    target.scratch_path = "scratch";
    store->writes.clear();
  }

  /// Keys of all objects of the volume: chunks or shards.
  [[nodiscard]] std::set<std::string> chunk_keys() const {
    std::set<std::string> keys;
    for (std::size_t level = 0; level < target.levels.size(); ++level) {
      const ome::Volume& volume = target.levels[level];
      const Extent3 grid = ceil_div(volume.shape(), volume.chunk_shape());
      for (std::int64_t i = 0; i < grid.volume(); ++i)
        keys.insert(volume.array().chunk_object_key(volume.chunk_index(unravel(i, grid))));
    }
    return keys;
  }
  /// All objects, whole.
  [[nodiscard]] std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> all;
    Buffer bytes;
    for (const std::string& key : chunk_keys())
      all[key] = store->get(key, bytes) ? std::string(bytes.text()) : "absent";
    return all;
  }

  std::shared_ptr<CountingStore> store = std::make_shared<CountingStore>();
  PyramidTarget target;
};

/// Memory that a single item needs.
template <class T>
std::int64_t least_memory(const Case& c, int workers) {
  const ItemGeometry geometry(c.chunk_shape, shard_shape(c));
  const std::int64_t cell = geometry.cell.volume() * static_cast<std::int64_t>(sizeof(T));
  if (!c.shard_chunks) return cell;
  const std::int64_t carry = geometry.carry.volume() * static_cast<std::int64_t>(sizeof(T));
  return carry + 8 * cell * (workers - 1) + 512 * floor_div(geometry.item, geometry.cell).volume();
}

template <class T>
void expect_levels(const Output<T>& output, const std::vector<Block<T>>& expected) {
  zarr::ChunkScratch scratch;
  for (std::size_t level = 0; level < expected.size(); ++level) {
    const Extent3 shape = expected[level].shape();
    Block<T> found(shape);
    output.target.levels[level].template read<T>({{0, 0, 0}, shape}, found.view(), scratch);
    for (std::int64_t i = 0; i < found.size(); ++i)
      ASSERT_EQ(found.data()[i], expected[level].data()[i])
          << "level " << level << " voxel " << to_string(unravel(i, shape));
  }
}

/// Writes the pyramid of a case, and checks all that write_pyramid promises about it.
template <class T>
void check(const Case& c, const std::vector<Block<T>>& expected, int workers,
           std::int64_t memory_bytes, std::map<std::string, std::string>& contents) {
  SCOPED_TRACE(testing::Message() << workers << " workers, " << memory_bytes << " bytes");
  execution::ThreadPool pool(workers);
  Output<T> output(c);
  HashedSource<T> source(c);
  std::int64_t voxel_bytes = 0;
  std::set<std::string> items;
  write_pyramid<T>(source, output.target, pool, memory_bytes, [&](const execution::WorkItem& item) {
    voxel_bytes += item.voxel_bytes();
    EXPECT_TRUE(items.insert(item.id()).second) << item.id();
  });

  const CountingStore::Counts reads = output.store->reads;
  expect_levels(output, expected);
  EXPECT_TRUE(source.made_each_voxel_once());
  EXPECT_EQ(voxel_bytes, c.shape.volume() * static_cast<std::int64_t>(sizeof(T)));
  EXPECT_EQ(items.size(),
            static_cast<std::size_t>(ceil_div(c.shape, ItemGeometry(c.chunk_shape, shard_shape(c)).item).volume()));
  // Items own disjoint objects, and together all of them; nothing of the levels is read back.
  const std::set<std::string> keys = output.chunk_keys();
  for (const auto& [key, count] : output.store->writes) {
    EXPECT_EQ(count, 1) << key;
    EXPECT_TRUE(keys.contains(key) || key.starts_with("scratch/")) << key;
  }
  for (const std::string& key : keys) EXPECT_TRUE(output.store->writes.contains(key)) << key;
  for (const auto& [key, count] : reads) EXPECT_FALSE(keys.contains(key)) << key;
  EXPECT_TRUE(output.store->list("scratch").empty()) << "carries are left";

  if (contents.empty()) contents = output.contents();
  EXPECT_TRUE(contents == output.contents()) << "bytes depend on workers or memory";
}

template <class T>
Case random_case(unsigned seed) {
  std::mt19937 random(seed);
  const auto pick = [&](std::int64_t lo, std::int64_t hi) {
    return std::uniform_int_distribution<std::int64_t>(lo, hi)(random);
  };
  Case c;
  c.seed = seed;
  const std::int64_t longest = pick(0, 4) == 0 ? 40 : 18;
  c.shape = {pick(1, longest), pick(1, longest), pick(1, longest)};
  const std::int64_t longest_chunk = pick(1, 7);
  c.chunk_shape = {pick(1, longest_chunk), pick(1, longest_chunk), pick(1, longest_chunk)};
  if (pick(0, 1) == 0) c.shard_chunks = Extent3{pick(1, 3), pick(1, 3), pick(1, 4)};
  const std::int64_t shortest = std::min({c.shape.z, c.shape.y, c.shape.x});
  int most = 1;
  while ((std::int64_t{1} << most) <= shortest) ++most;
  c.level_count = static_cast<int>(pick(1, most));
  const std::int64_t kind = pick(0, 2);
  c.reducer = kind == 0   ? numerics::WindowReducer{Kind::kMean, 0}
              : kind == 1 ? numerics::WindowReducer{Kind::kMode, 0}
                          : numerics::WindowReducer{Kind::kRank, static_cast<int>(pick(-8, 7))};
  c.compressed = pick(0, 3) == 0;
  // Masks have whole chunks of zeros or ones.
  c.most = pick(0, 3) == 0                   ? static_cast<unsigned>(pick(0, 1))
           : std::is_same_v<T, std::uint8_t> ? 255
                                             : 65535;
  return c;
}

}  // namespace flatfield::pipeline::testing_support
