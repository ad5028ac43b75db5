#include "flatfield/zarr/codec.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "flatfield/core/error.h"

namespace flatfield::zarr {
namespace {

using Bytes = std::vector<std::byte>;

/// Order of the elements within a chunk: kC = last index fastest, kF = first index fastest.
enum class Elements { kC, kF };

ChunkCodec prepared(const ArrayMetadata& metadata) {
  return {metadata.codecs, metadata.chunk_shape, metadata.dtype,
          Bytes(size_of(metadata.dtype), std::byte{7})};
}

ArrayMetadata described(DType dtype, ByteOrder bytes, Elements elements,
                        std::vector<Compressor> compressors,
                        std::vector<std::int64_t> chunks = {3, 4, 5}) {
  ArrayMetadata metadata;
  metadata.shape = chunks;
  metadata.chunk_shape = std::move(chunks);
  metadata.dtype = dtype;
  metadata.codecs.byte_order = bytes;
  if (elements == Elements::kF) metadata.codecs.order = reversed_axes(metadata.shape.size());
  metadata.codecs.compressors = std::move(compressors);
  return metadata;
}

Bytes random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random() % 7);
  return bytes;
}

TEST(ChunkCodec, stores_the_order_of_elements_and_bytes_that_the_metadata_say) {
  const auto metadata = described(DType::kUint16, ByteOrder::kBig, Elements::kF, {}, {2, 3});
  const std::vector<std::uint16_t> chunk = {0x0001, 0x0002, 0x0003, 0x0104, 0x0105, 0x0106};
  CodecScratch scratch;
  const auto stored = prepared(metadata).encode(std::as_bytes(std::span(chunk)), scratch);
  const unsigned char expected[] = {0, 1, 1, 4, 0, 2, 1, 5, 0, 3, 1, 6};
  ASSERT_EQ(stored.size(), sizeof expected);
  EXPECT_EQ(std::memcmp(stored.data(), expected, sizeof expected), 0);
}

TEST(ChunkCodec, gives_back_every_type_in_every_order) {
  for (int type = 0; type <= static_cast<int>(DType::kComplex128); ++type)
    for (const ByteOrder bytes : {ByteOrder::kLittle, ByteOrder::kBig})
      for (const Elements elements : {Elements::kC, Elements::kF})
        for (const auto& compressors :
             {std::vector<Compressor>{}, {{"blosc", 1, "lz4", 1, 0}}, {{"gzip", 1}}}) {
          const ChunkCodec codec =
              prepared(described(static_cast<DType>(type), bytes, elements, compressors));
          const Bytes chunk = random_bytes(codec.chunk_bytes(), 1);
          CodecScratch scratch;
          const auto stored = codec.encode(chunk, scratch);
          const Bytes copy(stored.begin(), stored.end());
          Bytes back(chunk.size());
          codec.decode(copy, back, scratch);
          EXPECT_EQ(back, chunk);
        }
}

TEST(ChunkCodec, elements_of_a_chunk_are_those_of_the_whole) {
  std::mt19937 random(2);
  for (const ByteOrder bytes : {ByteOrder::kLittle, ByteOrder::kBig})
    for (const Elements elements : {Elements::kC, Elements::kF})
      for (const auto& compressors :
           {std::vector<Compressor>{}, {{"blosc", 1, "zstd", 2, 4096}}, {{"zstd", 1}}}) {
        const ChunkCodec codec =
            prepared(described(DType::kUint16, bytes, elements, compressors, {7, 30, 40}));
        const Bytes chunk = random_bytes(codec.chunk_bytes(), 3);
        CodecScratch scratch;
        Buffer whole;
        const auto stored = codec.encode(chunk, scratch);
        const Bytes copy(stored.begin(), stored.end());
        for (int round = 0; round < 10; ++round) {
          std::vector<Bytes> found(1 + random() % 4);
          std::vector<ChunkPart> parts;
          for (Bytes& part : found) {
            const std::size_t first = random() % 8400;
            part.resize(2 * (random() % (8401 - first)));
            parts.push_back({static_cast<std::int64_t>(first), part});
          }
          codec.decode_parts(copy, parts, scratch, whole);
          for (const ChunkPart& part : parts)
            EXPECT_TRUE(std::equal(part.into.begin(), part.into.end(), chunk.data() + part.first * 2));
        }
      }
}

TEST(ChunkCodec, copies_nothing_that_is_stored_as_it_is_in_memory) {
  const auto metadata = described(DType::kUint16, ByteOrder::kLittle, Elements::kC, {});
  const ChunkCodec codec = prepared(metadata);
  const Bytes chunk = random_bytes(codec.chunk_bytes(), 4);
  CodecScratch scratch;
  EXPECT_EQ(codec.encode(chunk, scratch).data(), chunk.data());

  auto compressed = metadata;
  compressed.codecs.compressors = {{"blosc", 1, "zstd", 1, 0}};
  (void)prepared(compressed).encode(chunk, scratch);
  EXPECT_EQ(scratch.stored.size(), 0U);

  // F order of one real dimension is C order.
  auto line = described(DType::kUint16, ByteOrder::kLittle, Elements::kF, {}, {1, 60, 1});
  EXPECT_EQ(prepared(line).encode(chunk, scratch).data(), chunk.data());
}

TEST(ChunkCodec, refuses_a_raw_chunk_of_another_size) {
  const ChunkCodec codec =
      prepared(described(DType::kUint16, ByteOrder::kLittle, Elements::kC, {}));
  CodecScratch scratch;
  Bytes into(codec.chunk_bytes());
  for (const std::size_t size : {0U, 1U, 119U, 121U}) {
    try {
      codec.decode(Bytes(size), into, scratch);
      ADD_FAILURE() << size;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_EQ(error.message(), "the chunk has " + std::to_string(size) + " bytes, expected 120");
    }
  }
}

TEST(ChunkCodec, refuses_more_bytes_than_compressors_take_of_a_whole_chunk_and_of_parts) {
  const ChunkCodec codec = prepared(described(DType::kUint16, ByteOrder::kLittle, Elements::kC,
                                              {{"blosc", 1, "zstd", 1, 0}, {"gzip", 1}}));
  CodecScratch scratch;
  const Bytes chunk = random_bytes(codec.chunk_bytes(), 5);
  const auto stored = codec.encode(chunk, scratch);
  // Counted in 32 bits it is a good chunk. Pages that nobody touches take no memory.
  const std::size_t size = (std::size_t{1} << 32U) + stored.size();
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "4 GiB of addresses cannot be had";
  std::memcpy(memory, stored.data(), stored.size());
  const std::span<const std::byte> encoded(static_cast<const std::byte*>(memory), size);
  Bytes into(codec.chunk_bytes());
  Buffer whole;
  const std::vector<ChunkPart> parts{{0, std::span<std::byte>(into).first(2)}};
  for (const bool in_parts : {false, true}) {
    try {
      if (in_parts)
        codec.decode_parts(encoded, parts, scratch, whole);
      else
        codec.decode(encoded, into, scratch);
      ADD_FAILURE() << "no error was thrown, in parts: " << in_parts;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_EQ(error.message(), std::to_string(size) + " bytes are too many for a chunk that decodes to 120");
    }
  }
  ::munmap(memory, size);
}

/// What is said of a chain that cannot be prepared.
std::string refusal(const ArrayMetadata& metadata) {
  try {
    (void)prepared(metadata);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    return error.message();
  }
  return "none";
}

TEST(ChunkCodec, refuses_filters_that_make_much_more_of_a_chunk) {
  auto metadata = described(DType::kUint8, ByteOrder::kLittle, Elements::kC, {}, {1 << 20});
  const Filter wider{"delta", {DType::kUint8}, {DType::kUint64}};
  metadata.codecs.filters.assign(1, wider);
  EXPECT_EQ(refusal(metadata), "none");
  metadata.codecs.filters.assign(2, wider);
  EXPECT_EQ(refusal(metadata), "the filter \"delta\" makes 67108864 bytes of a chunk of 1048576");
  metadata = described(DType::kUint8, ByteOrder::kLittle, Elements::kC, {}, {1 << 28});
  metadata.codecs.filters.assign(1, wider);
  EXPECT_EQ(refusal(metadata), "the filter \"delta\" makes 2147483648 bytes of a chunk of 268435456");
}

TEST(ChunkCodec, refuses_chains_of_many_codecs) {
  auto metadata = described(DType::kUint8, ByteOrder::kLittle, Elements::kC, {});
  metadata.codecs.compressors.assign(8, {"gzip", 1});
  EXPECT_EQ(refusal(metadata), "none");
  metadata.codecs.compressors.push_back({"gzip", 1});
  EXPECT_EQ(refusal(metadata), "9 filters and compressors; at most 8 are supported");
}

}  // namespace
}  // namespace flatfield::zarr
