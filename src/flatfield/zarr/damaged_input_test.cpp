// Whatever the bytes of an array are, reading it gives data or throws Error. The sanitizers see the
// rest.
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <optional>
#include <random>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/zarr/array.h"
#include "flatfield/zarr/checksums.h"
#include "flatfield/zarr/shard_writer.h"

namespace flatfield::zarr {
namespace {

using Bytes = std::vector<std::byte>;

class DamagedInput : public testing::Test {
 protected:
  /// A copy with some bytes changed, removed or added.
  Bytes damaged(Bytes bytes) {
    switch (random_() % 4) {
      case 0: bytes.resize(random_() % (bytes.size() + 1)); break;
      case 1:
        bytes.insert(bytes.begin() + place(bytes.size() + 1), static_cast<std::byte>(random_()));
        break;
      default:
        for (unsigned i = 0; i <= random_() % 4 && !bytes.empty(); ++i)
          // Most of what matters is at the beginning.
          bytes[static_cast<std::size_t>(place(
              random_() % 2 == 0 ? std::min<std::size_t>(bytes.size(), 32) : bytes.size()))] ^=
              static_cast<std::byte>(1U << (random_() % 8));
    }
    return bytes;
  }
  std::ptrdiff_t place(std::size_t size) { return static_cast<std::ptrdiff_t>(random_() % size); }

  Bytes object(const char* key) const {
    Buffer into;
    EXPECT_TRUE(store_->get(key, into));
    return {into.span().begin(), into.span().end()};
  }

  unsigned seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  std::shared_ptr<storage::Store> store_ = std::make_shared<storage::MemoryStore>();
  ChunkScratch scratch_;
};

ArrayMetadata described(const Compressor& compressor) {
  ArrayMetadata metadata;
  metadata.shape = {30, 40};
  metadata.chunk_shape = {16, 24};
  metadata.codecs.compressors = {compressor};
  return metadata;
}

TEST_F(DamagedInput, chunks_give_data_or_an_error) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  std::vector<Compressor> compressors;
  for (const char* cname : {"blosclz", "lz4", "snappy", "zlib", "zstd"})
    for (const int shuffle : {0, 1, 2}) compressors.push_back({"blosc", 5, cname, shuffle, 256});
  for (const char* id : {"zstd", "gzip", "zlib", "lz4", "bz2"}) compressors.push_back({id, 1});
  int errors = 0;
  for (const Compressor& compressor : compressors) {
    const Array array = Array::create(store_, "", described(compressor));
    std::vector<std::uint16_t> chunk(16 * 24);
    for (auto& voxel : chunk) voxel = static_cast<std::uint16_t>(random_() % 100);
    array.write_chunk({0, 0}, std::as_bytes(std::span(chunk)), scratch_);
    const Bytes good = object("0/0");
    // Exactly as large as they should be, so that the sanitizers see every byte too many.
    Bytes whole(chunk.size() * 2);
    Bytes part(24 * 2);
    for (int round = 0; round < 400; ++round) {
      store_->put("0/0", damaged(good));
      try {
        array.read_chunk({0, 0}, whole, scratch_);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadInput);
        ++errors;
      }
      try {
        const auto element = [&] { return static_cast<std::int64_t>(24 * (random_() % 16)); };
        const std::array<ChunkPart, 2> parts{
            {{element(), std::span(part).first(24)}, {element(), std::span(part).last(24)}}};
        array.read_chunk_parts({0, 0}, parts, scratch_);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      }
    }
  }
  EXPECT_GT(errors, 0);
}

/// An array of Zarr v3, and its only object.
ArrayMetadata described_v3(Shape shards, std::vector<Compressor> compressors) {
  ArrayMetadata metadata;
  metadata.zarr_format = 3;
  metadata.shape = metadata.chunk_shape = {16, 24};
  metadata.key_encoding = KeyEncoding::kDefault;
  metadata.codecs.order = {1, 0};
  metadata.codecs.compressors = std::move(compressors);
  metadata.shard_shape = std::move(shards);
  if (metadata.is_sharded()) metadata.chunk_shape = {4, 6};
  return metadata;
}

/// Writes all chunks of `array`, which fill one object.
void fill(const Array& array, ChunkScratch& scratch) {
  const Shape grid = array.metadata().grid_shape();
  std::vector<std::byte> chunk(array.metadata().chunk_bytes());
  std::vector<std::size_t> order(static_cast<std::size_t>(grid[0] * grid[1]));
  std::iota(order.begin(), order.end(), 0);
  std::optional<ShardWriter> writer;
  if (array.metadata().is_sharded())
    writer.emplace(array, Shape{0, 0}, order, std::make_shared<ReorderBuffer>(0));
  for (const std::size_t number : order) {
    for (std::size_t i = 0; i < chunk.size(); ++i) chunk[i] = static_cast<std::byte>(i + number);
    const auto i = static_cast<std::int64_t>(number);
    if (writer)
      writer->put(number, array.encode_chunk(chunk, scratch));
    else
      array.write_chunk({i / grid[1], i % grid[1]}, chunk, scratch);
  }
  if (writer) writer->finish();
}

TEST_F(DamagedInput, shards_and_checksums_give_data_or_an_error) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  int errors = 0;
  for (int kind = 0; kind < 5; ++kind) {
    const bool sharded = kind != 1;
    const Array whole = Array::create(
        store_, "",
        described_v3(sharded ? Shape{16, 24} : Shape{},
                     kind == 0 ? std::vector<Compressor>{{"zstd", 1}, {"crc32c"}}
                               : std::vector<Compressor>{{"gzip", 1}, {"zstd", 1}, {"crc32c"}}));
    fill(whole, scratch_);
    if (kind >= 3) {  // without compression, and at last without any checksum
      ArrayMetadata metadata = whole.metadata();
      metadata.codecs = CodecChain{};
      if (kind == 4) metadata.shard_index.codecs.compressors.clear();
      fill(Array::create(store_, "", metadata), scratch_);
    }
    const Bytes good = object("c/0/0");
    for (int round = 0; round < 300; ++round) {
      store_->put("c/0/0", damaged(good));
      // A new array has no index in its memory.
      const Array array = Array::open(store_, "");
      Bytes chunk(array.metadata().chunk_bytes());
      const Shape index{static_cast<std::int64_t>(random_() % 4),
                        static_cast<std::int64_t>(random_() % 4)};
      try {
        array.read_chunk(sharded ? index : Shape{0, 0}, chunk, scratch_);
        const std::vector<Shape> all =
            sharded ? std::vector<Shape>{{0, 0}, {3, 3}, {1, 2}} : std::vector<Shape>{{0, 0}};
        array.read_chunks(all, scratch_, [](std::size_t, std::span<const std::byte>) {});
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadInput) << error.what();
        EXPECT_EQ(error.where(), "memory://c/0/0");
        ++errors;
      }
    }
  }
  EXPECT_GT(errors, 0);
}

TEST_F(DamagedInput, shards_that_are_chunks_give_data_or_an_error) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  ArrayMetadata metadata = described_v3({16, 24}, {});
  metadata.codecs.order.clear();
  fill(Array::create(store_, "", metadata), scratch_);
  std::string text = *storage::get_text(*store_, "zarr.json");
  // A checksum around the shard makes it a chunk: [sharding_indexed, crc32c].
  const std::size_t end = text.rfind("]", text.find("\"attributes\""));
  text.insert(end, R"(, {"name": "crc32c"})");
  storage::put_text(*store_, "zarr.json", text);
  const Bytes shard = object("c/0/0");
  const auto sealed = [](const Bytes& bytes) {
    Buffer into;
    append_crc32c({"crc32c"}, 1, bytes, into);
    return Bytes(into.span().begin(), into.span().end());
  };
  const Array array = Array::open(store_, "");
  ASSERT_FALSE(array.metadata().is_sharded());
  Bytes whole(array.metadata().chunk_bytes());
  store_->put("c/0/0", sealed(shard));
  array.read_chunk({0, 0}, whole, scratch_);
  int errors = 0;
  for (int round = 0; round < 1000; ++round) {
    // Damage that the outer checksum does not see.
    store_->put("c/0/0", sealed(damaged(shard)));
    try {
      array.read_chunk({0, 0}, whole, scratch_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput) << error.what();
      ++errors;
    }
  }
  EXPECT_GT(errors, 0);
}

TEST_F(DamagedInput, metadata_of_format_3_give_an_array_or_an_error) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  (void)Array::create(store_, "", described_v3({16, 24}, {{"blosc", 5, "lz4", 1, 0}, {"crc32c"}}));
  const Bytes good = object("zarr.json");
  int errors = 0;
  for (int round = 0; round < 20'000; ++round) {
    store_->put("zarr.json", damaged(good));
    try {
      const Array array = Array::open(store_, "");
      EXPECT_LE(array.metadata().chunk_bytes(), kMaxChunkBytes);
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kBadInput || error.code() == ErrorCode::kUnsupported ||
                  error.code() == ErrorCode::kNotFound)
          << error.what();
      ++errors;
    }
  }
  EXPECT_GT(errors, 0);
}

TEST_F(DamagedInput, metadata_give_an_array_or_an_error) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  ArrayMetadata metadata = described({"blosc", 5, "lz4", 1, 0});
  metadata.attributes["a"] = 1;
  (void)Array::create(store_, "", metadata);
  const Bytes good = object(".zarray");
  const Bytes good_attributes = object(".zattrs");
  int errors = 0;
  for (int round = 0; round < 20'000; ++round) {
    store_->put(".zarray", damaged(good));
    store_->put(".zattrs", round % 4 == 0 ? damaged(good_attributes) : good_attributes);
    try {
      const Array array = Array::open(store_, "");
      (void)array.metadata().grid_shape();
      EXPECT_LE(array.metadata().chunk_bytes(), kMaxChunkBytes);
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kBadInput || error.code() == ErrorCode::kUnsupported)
          << error.what();
      ++errors;
    }
  }
  EXPECT_GT(errors, 0);
}

}  // namespace
}  // namespace flatfield::zarr
