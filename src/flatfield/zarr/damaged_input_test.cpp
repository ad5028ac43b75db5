// Whatever the bytes of an array are, reading it gives data or throws Error. The sanitizers see the
// rest.
#include <gtest/gtest.h>

#include <random>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/zarr/array.h"

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
        array.read_chunk_elements({0, 0}, 24 * (random_() % 16), 24, part, scratch_);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      }
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
