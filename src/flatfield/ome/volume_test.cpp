#include "flatfield/ome/volume.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"
#include "support/counting_store.h"

namespace flatfield::ome {
namespace {

constexpr std::uint16_t kFill = 777;

std::int64_t pick(std::mt19937& random, std::int64_t lo, std::int64_t hi) {
  return std::uniform_int_distribution<std::int64_t>(lo, hi)(random);
}

/// A store of which several objects are read at once.
class FarStore final : public storage::MemoryStore {
 public:
  int reads_at_once() const override { return 3; }
};

/// A chunked uint16 array of any number of axes beside all its elements in C order.
struct Twin {
  Twin(std::mt19937& random, int leading_axes) {
    if (pick(random, 0, 1) == 0) store = std::make_shared<FarStore>();
    zarr::ArrayMetadata metadata;
    for (int i = 0; i < leading_axes; ++i) {
      metadata.shape.push_back(pick(random, 1, 3));
      metadata.chunk_shape.push_back(pick(random, 1, 2));
    }
    for (int i = 0; i < 3; ++i) {
      metadata.shape.push_back(pick(random, 1, 11));
      metadata.chunk_shape.push_back(pick(random, 1, 6));
    }
    metadata.dtype = DType::kUint16;
    metadata.fill_value = {std::byte{kFill & 0xFF}, std::byte{kFill >> 8}};
    if (pick(random, 0, 1) == 0) metadata.codecs.compressors = {zarr::Compressor{"blosc", 1}};
    array.emplace(zarr::Array::create(store, "a", metadata));

    std::int64_t count = 1;
    for (const std::int64_t n : metadata.shape) count *= n;
    elements.assign(static_cast<std::size_t>(count), kFill);
    write_chunks(random);
  }

  /// Writes random chunks, leaving some out.
  void write_chunks(std::mt19937& random) {
    const zarr::ArrayMetadata& metadata = array->metadata();
    const std::vector<std::int64_t> grid = metadata.grid_shape();
    const std::size_t n = grid.size();
    std::vector<std::int64_t> chunk(n, 0);
    for (;;) {
      if (pick(random, 0, 4) != 0) {
        std::vector<std::uint16_t> voxels(static_cast<std::size_t>(metadata.chunk_elements()));
        for (std::size_t i = 0; i < voxels.size(); ++i) {
          voxels[i] = static_cast<std::uint16_t>(pick(random, 0, 65535));
          if (const auto place = position(chunk, static_cast<std::int64_t>(i)))
            elements[*place] = voxels[i];
        }
        array->write_chunk(chunk, std::as_bytes(std::span(voxels)), scratch);
      }
      std::size_t axis = n;
      while (axis > 0 && ++chunk[axis - 1] == grid[axis - 1]) chunk[--axis] = 0;
      if (axis == 0) return;
    }
  }

  /// Where element `i` of a chunk lies in `elements`; none for padding.
  [[nodiscard]] std::optional<std::size_t> position(const std::vector<std::int64_t>& chunk,
                                                    std::int64_t i) const {
    const zarr::ArrayMetadata& metadata = array->metadata();
    std::int64_t place = 0;
    std::int64_t stride = 1;
    for (std::size_t axis = metadata.shape.size(); axis-- > 0;) {
      const std::int64_t index =
          chunk[axis] * metadata.chunk_shape[axis] + i % metadata.chunk_shape[axis];
      i /= metadata.chunk_shape[axis];
      if (index >= metadata.shape[axis]) return std::nullopt;
      place += index * stride;
      stride *= metadata.shape[axis];
    }
    return static_cast<std::size_t>(place);
  }

  [[nodiscard]] std::vector<std::int64_t> random_leading(std::mt19937& random) const {
    std::vector<std::int64_t> leading;
    for (std::size_t i = 0; i + 3 < array->metadata().shape.size(); ++i)
      leading.push_back(pick(random, 0, array->metadata().shape[i] - 1));
    return leading;
  }

  [[nodiscard]] std::uint16_t at(const std::vector<std::int64_t>& leading, const Extent3& p) const {
    std::int64_t place = 0;
    const auto& shape = array->metadata().shape;
    for (std::size_t i = 0; i < leading.size(); ++i) place = place * shape[i] + leading[i];
    for (int axis = 0; axis < 3; ++axis)
      place = place * shape[leading.size() + static_cast<std::size_t>(axis)] + p[axis];
    return elements[static_cast<std::size_t>(place)];
  }

  std::shared_ptr<storage::Store> store = std::make_shared<storage::MemoryStore>();
  std::optional<zarr::Array> array;
  zarr::ChunkScratch scratch;
  std::vector<std::uint16_t> elements;
};

TEST(Volume, reads_any_box_of_any_channel_like_a_naive_copy) {
  for (unsigned seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    Twin twin(random, static_cast<int>(seed % 3));
    for (int repeat = 0; repeat < 5; ++repeat) {
      const auto leading = twin.random_leading(random);
      const Volume volume(*twin.array, leading);
      Box3 box;
      for (int axis = 0; axis < 3; ++axis) {
        box.origin[axis] = pick(random, 0, volume.shape()[axis] - 1);
        box.shape[axis] = pick(random, 0, volume.shape()[axis] - box.origin[axis]);
      }
      // A strided target inside a larger block, of which nothing else is written.
      constexpr std::uint16_t kUntouched = 4242;
      Block<std::uint16_t> out(box.shape + Extent3{1, 2, 3}, kUntouched);
      if (pick(random, 0, 1) == 0) volume.expect(box, twin.scratch);
      volume.read<std::uint16_t>(box, out.view().sub({{0, 1, 2}, box.shape}), twin.scratch);
      for (std::int64_t i = 0; i < out.size(); ++i) {
        const Extent3 p = unravel(i, out.shape());
        const Extent3 q = p - Extent3{0, 1, 2};
        const bool inside = !intersect({q, {1, 1, 1}}, {{0, 0, 0}, box.shape}).empty();
        ASSERT_EQ(out.at(p.z, p.y, p.x), inside ? twin.at(leading, box.origin + q) : kUntouched)
            << to_string(q) << " of box " << to_string(box.origin) << to_string(box.shape);
      }
      // A contiguous target of one chunk takes the short way.
      const Extent3 chunk{0, 0, 0};
      const Box3 first = tile_box(chunk, volume.chunk_shape(), volume.shape());
      Block<std::uint16_t> whole(first.shape);
      volume.read<std::uint16_t>(first, whole.view(), twin.scratch);
      for (std::int64_t i = 0; i < whole.size(); ++i)
        ASSERT_EQ(whole.data()[i], twin.at(leading, unravel(i, first.shape)));
    }
  }
}

/// Two volumes of chunks of 8 x 8 x 8 voxels; each voxel is its place in the volume, in the second one 10000 more. The last
/// chunk is not stored.
class CellsOfChunks : public testing::Test {
 protected:
  static constexpr Extent3 kShape{20, 13, 16};
  static constexpr Extent3 kChunk{8, 8, 8};
  static constexpr Extent3 kLast{2, 1, 1};

  void SetUp() override {
    zarr::ArrayMetadata metadata;
    metadata.shape = {2, kShape.z, kShape.y, kShape.x};
    metadata.chunk_shape = {1, kChunk.z, kChunk.y, kChunk.x};
    metadata.fill_value = {std::byte{kFill & 0xFF}, std::byte{kFill >> 8}};
    metadata.codecs.compressors = {zarr::Compressor{"blosc", 1}};
    array_.emplace(zarr::Array::create(store_, "a", metadata));
    for (std::int64_t v = 0; v < 2; ++v)
      for (std::int64_t i = 0; i < grid().volume(); ++i) {
        const Extent3 index = unravel(i, grid());
        if (index == kLast) continue;
        Block<std::uint16_t> chunk(kChunk);
        for (std::int64_t k = 0; k < chunk.size(); ++k)
          chunk.data()[k] = voxel(v, index * kChunk + unravel(k, kChunk));
        array_->write_chunk({v, index.z, index.y, index.x}, std::as_bytes(chunk.span()), scratch_);
      }
    store_->gets = 0;
  }

  static Extent3 grid() { return ceil_div(kShape, kChunk); }
  static std::uint16_t voxel(std::int64_t v, const Extent3& p) {
    if (floor_div(p, kChunk) == kLast) return kFill;
    return static_cast<std::uint16_t>(10000 * v + ravel(p, kShape) % 10000);
  }
  [[nodiscard]] Volume volume(std::int64_t v) const { return {*array_, {v}}; }

  /// Reads a box, holds it against what it should be, and says whether all of it is stored.
  bool expect_right(std::int64_t v, const Box3& box) {
    Block<std::uint16_t> out(box.shape);
    const bool is_stored = volume(v).read<std::uint16_t>(box, out.view(), scratch_);
    for (std::int64_t i = 0; i < out.size(); ++i)
      EXPECT_EQ(out.data()[i], voxel(v, box.origin + unravel(i, box.shape))) << to_string(box.origin) << ", voxel " << i;
    return is_stored;
  }

  std::shared_ptr<CountingStore> store_ = std::make_shared<CountingStore>();
  std::optional<zarr::Array> array_;
  zarr::ChunkScratch scratch_;
};

TEST_F(CellsOfChunks, read_each_chunk_once_where_they_come_chunk_by_chunk) {
  constexpr Extent3 kCell{4, 4, 4};
  for (std::int64_t i = 0; i < grid().volume(); ++i)
    for (std::int64_t k = 0; k < 8; ++k) {
      const Extent3 part = unravel(i, grid());
      const Box3 box = tile_box(part * 2 + unravel(k, {2, 2, 2}), kCell, kShape);
      if (box.empty()) continue;
      EXPECT_EQ(expect_right(0, box), part != kLast);
    }
  EXPECT_EQ(store_->gets, grid().volume());
}

TEST_F(CellsOfChunks, are_those_of_their_own_volume_chunk_and_array) {
  const Box3 here{{1, 2, 3}, {4, 4, 4}};
  const Box3 there{{9, 2, 3}, {4, 4, 4}};
  for (const std::int64_t v : {0, 1, 1, 0}) expect_right(v, here);
  EXPECT_EQ(store_->gets, 3);
  expect_right(0, there);
  expect_right(0, here);
  EXPECT_EQ(store_->gets, 5);
  // Another array at the same index.
  zarr::ArrayMetadata metadata = array_->metadata();
  const Volume other(zarr::Array::create(store_, "b", metadata), {0});
  Block<std::uint16_t> out(here.shape);
  EXPECT_FALSE(other.read<std::uint16_t>(here, out.view(), scratch_));
  EXPECT_TRUE(std::ranges::all_of(out.span(), [](std::uint16_t found) { return found == kFill; }));
  expect_right(0, here);
}

TEST_F(CellsOfChunks, are_right_whatever_else_is_read_between_them) {
  const Box3 cell{{1, 2, 3}, {4, 4, 4}};
  const auto whole_chunk = [&] { expect_right(0, {{8, 0, 0}, kChunk}); };
  const auto planes = [&] {
    std::vector<std::uint16_t> pixels(20);
    const Volume::PlanePart<std::uint16_t> part{5, 7, pixels};
    volume(1).read_plane_parts<std::uint16_t>({1, 0, 1}, {&part, 1}, scratch_);
    EXPECT_EQ(pixels[1], voxel(1, {13, 1, 8}));
  };
  const auto several = [&] {
    const std::vector<zarr::Shape> indices{{1, 1, 0, 0}, {0, 2, 1, 1}};
    array_->read_chunks(indices, scratch_, [](std::size_t, std::span<const std::byte>) {});
  };
  expect_right(0, cell);
  whole_chunk();
  store_->gets = 0;
  expect_right(0, cell);
  EXPECT_EQ(store_->gets, 0) << "a whole chunk is decoded to where it goes";
  planes();
  expect_right(0, cell);
  several();
  expect_right(0, cell);
}

TEST_F(CellsOfChunks, are_read_again_after_a_chunk_that_is_damaged) {
  const Box3 cell{{1, 2, 3}, {4, 4, 4}};
  const Box3 damaged{{9, 2, 3}, {4, 4, 4}};
  const std::string key = array_->chunk_object_key({0, 1, 0, 0});
  Buffer good;
  ASSERT_TRUE(store_->get(key, good));
  store_->put(key, good.span().first(good.size() - 3));
  expect_right(0, cell);
  Block<std::uint16_t> out(damaged.shape);
  for (int repeat = 0; repeat < 2; ++repeat)
    EXPECT_THROW(volume(0).read<std::uint16_t>(damaged, out.view(), scratch_), Error);
  expect_right(0, cell);
  store_->put(key, good.span());
  expect_right(0, damaged);
}

TEST(Volume, reads_parts_of_planes_like_a_naive_copy) {
  for (unsigned seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed + 5000);
    Twin twin(random, static_cast<int>(seed % 3));
    const auto leading = twin.random_leading(random);
    const Volume volume(*twin.array, leading);
    const Extent3& chunk_shape = volume.chunk_shape();
    const Extent3 grid = ceil_div(volume.shape(), chunk_shape);
    const Extent3 chunk = unravel(pick(random, 0, grid.volume() - 1), grid);
    const std::int64_t pixels = chunk_shape.y * chunk_shape.x;
    std::vector<std::vector<std::uint16_t>> found(static_cast<std::size_t>(pick(random, 0, 5)));
    std::vector<Volume::PlanePart<std::uint16_t>> parts;
    for (auto& into : found) {
      const std::int64_t first = pick(random, 0, pixels - 1);
      into.resize(static_cast<std::size_t>(pick(random, 0, pixels - first)));
      parts.push_back({pick(random, 0, chunk_shape.z - 1), first, into});
    }
    volume.read_plane_parts<std::uint16_t>(chunk, parts, twin.scratch);
    for (const auto& part : parts)
      for (std::size_t i = 0; i < part.into.size(); ++i) {
        const std::int64_t pixel = part.first + static_cast<std::int64_t>(i);
        const Extent3 p = chunk * chunk_shape +
                          Extent3{part.plane, pixel / chunk_shape.x, pixel % chunk_shape.x};
        if (intersect({p, {1, 1, 1}}, {{0, 0, 0}, volume.shape()}).empty()) continue;
        ASSERT_EQ(part.into[i], twin.at(leading, p)) << to_string(p);
      }
  }
}

TEST(Volume, of_an_array_without_chunks_is_the_fill_value) {
  const auto store = std::make_shared<storage::MemoryStore>();
  zarr::ArrayMetadata metadata;
  metadata.shape = {2, 4, 4, 4};
  metadata.chunk_shape = {1, 2, 2, 2};
  metadata.fill_value = {std::byte{5}, std::byte{0}};
  const Volume volume(zarr::Array::create(store, "a", metadata), {1});
  zarr::ChunkScratch scratch;
  Block<std::uint16_t> out({4, 4, 4});
  volume.read<std::uint16_t>({{0, 0, 0}, {4, 4, 4}}, out.view(), scratch);
  EXPECT_TRUE(std::ranges::all_of(out.span(), [](std::uint16_t v) { return v == 5; }));
}

TEST(Volume, knows_the_chunks_of_its_channel) {
  const auto store = std::make_shared<storage::MemoryStore>();
  zarr::ArrayMetadata metadata;
  metadata.shape = {5, 7, 10, 20, 30};
  metadata.chunk_shape = {2, 3, 4, 5, 6};
  const Volume volume(zarr::Array::create(store, "a", metadata), {3, 6});
  EXPECT_EQ(volume.shape(), (Extent3{10, 20, 30}));
  EXPECT_EQ(volume.chunk_shape(), (Extent3{4, 5, 6}));
  EXPECT_EQ(volume.dtype(), DType::kUint16);
  EXPECT_EQ(volume.chunk_index({2, 1, 4}), (std::vector<std::int64_t>{1, 2, 2, 1, 4}));
}

TEST(Volume, refuses_arrays_and_uses_that_do_not_fit) {
  const auto store = std::make_shared<storage::MemoryStore>();
  zarr::ArrayMetadata metadata;
  metadata.shape = {4, 4};
  metadata.chunk_shape = {2, 2};
  const zarr::Array plane = zarr::Array::create(store, "plane", metadata);
  metadata.shape = {4, 4, 4};
  metadata.chunk_shape = {2, 2, 2};
  const zarr::Array array = zarr::Array::create(store, "array", metadata);
  try {
    const Volume volume(plane, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  }
  EXPECT_THROW(Volume(array, {0}), Error);
  zarr::ChunkScratch scratch;
  Block<std::uint8_t> bytes({4, 4, 4});
  EXPECT_THROW(Volume(array, {}).read<std::uint8_t>({{0, 0, 0}, {4, 4, 4}}, bytes.view(), scratch),
               Error);
  const Volume::PlanePart<std::uint8_t> part{0, 0, bytes.span().first(4)};
  EXPECT_THROW(Volume(array, {}).read_plane_parts<std::uint8_t>({0, 0, 0}, {&part, 1}, scratch), Error);
}

}  // namespace
}  // namespace flatfield::ome
