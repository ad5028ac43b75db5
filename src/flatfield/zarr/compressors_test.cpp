#include "flatfield/zarr/compressors.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

#include "flatfield/core/error.h"

namespace flatfield::zarr {
namespace {

using Bytes = std::vector<std::byte>;

Bytes hex(std::string_view digits) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(
        static_cast<std::byte>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  return bytes;
}

Bytes text_bytes(std::string_view text) {
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

Bytes encode(const Compressor& compressor, const Bytes& raw, std::size_t itemsize = 2) {
  Buffer into;
  find_compressor(compressor.id)->encode(compressor, itemsize, raw, into);
  return {into.span().begin(), into.span().end()};
}

Bytes decode(std::string_view id, const Bytes& encoded, std::size_t size) {
  Bytes into(size);
  const auto decoded = find_compressor(id)->decode(encoded, into);
  if (decoded.size() != size) fail_decoded_size(decoded.size(), size);
  return {decoded.begin(), decoded.end()};
}

std::string refusal(std::string_view id, const Bytes& encoded, std::size_t size) {
  try {
    (void)decode(id, encoded, size);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.message();
  }
  return "none";
}

/// Voxels like those of an image: small numbers and noise.
Bytes image_bytes(std::size_t voxels, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint16_t> values(voxels);
  for (std::size_t i = 0; i < voxels; ++i)
    values[i] = static_cast<std::uint16_t>(100 + (i / 64) % 50 + random() % 16);
  Bytes bytes(voxels * 2);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<Compressor> all_compressors() {
  std::vector<Compressor> all;
  for (const char* cname : {"blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"})
    for (const int shuffle : {0, 1, 2}) all.push_back({"blosc", 1, cname, shuffle, 0});
  for (const char* id : {"zstd", "gzip", "zlib", "lz4", "bz2"}) all.push_back({id, 1});
  return all;
}

std::string name_of(const Compressor& c) {
  return c.id + " " + (c.id == "blosc" ? c.blosc_cname + std::to_string(c.blosc_shuffle) : "");
}

TEST(Compressors, give_back_what_they_were_given) {
  for (const Compressor& compressor : all_compressors()) {
    SCOPED_TRACE(name_of(compressor));
    EXPECT_NO_THROW(check_compressor(compressor, "here"));
    for (const std::size_t voxels : {1U, 2U, 100U, 50'000U}) {
      const Bytes raw = image_bytes(voxels, 1);
      EXPECT_EQ(decode(compressor.id, encode(compressor, raw), raw.size()), raw);
    }
    std::mt19937 random(2);
    Bytes noise(30'001);  // cannot be made smaller
    for (auto& byte : noise) byte = static_cast<std::byte>(random());
    EXPECT_EQ(decode(compressor.id, encode(compressor, noise, 1), noise.size()), noise);
  }
}

TEST(Compressors, make_images_smaller_and_the_same_every_time) {
  const Bytes raw = image_bytes(50'000, 3);
  for (const Compressor& compressor : all_compressors()) {
    SCOPED_TRACE(name_of(compressor));
    const Bytes encoded = encode(compressor, raw);
    // Without shuffle there is too little that repeats for the fastest of them.
    const bool unshuffled = compressor.id == "blosc" && compressor.blosc_shuffle == 0;
    EXPECT_LT(encoded.size(), unshuffled ? raw.size() + 17 : raw.size());
    EXPECT_EQ(encode(compressor, raw), encoded);
  }
}

TEST(Compressors, refuse_data_of_another_size) {
  for (const Compressor& compressor : all_compressors()) {
    SCOPED_TRACE(name_of(compressor));
    const Bytes encoded = encode(compressor, image_bytes(600, 4));
    EXPECT_NE(refusal(compressor.id, encoded, 8192), "none");
    EXPECT_NE(refusal(compressor.id, encoded, 1000), "none");
    EXPECT_NE(refusal(compressor.id, encoded, 1199), "none");
    EXPECT_NE(refusal(compressor.id, encoded, 1201), "none");
  }
}

TEST(Compressors, say_how_large_the_data_are_and_should_be) {
  for (const char* id : {"blosc", "zstd", "gzip", "zlib", "lz4", "bz2"})
    EXPECT_EQ(refusal(id, encode({id, 1}, image_bytes(600, 4)), 8192),
              "the chunk decodes to 1200 bytes, expected 8192");
  for (const char* id : {"gzip", "zlib", "bz2"})
    EXPECT_EQ(refusal(id, encode({id, 1}, image_bytes(600, 4)), 100),
              "the chunk decodes to more than the expected 100 bytes");
}

TEST(Compressors, refuse_every_truncation) {
  for (const Compressor& compressor : all_compressors()) {
    SCOPED_TRACE(name_of(compressor));
    const Bytes encoded = encode(compressor, image_bytes(300, 5));
    for (std::size_t n = 0; n < encoded.size(); ++n)
      EXPECT_NE(refusal(compressor.id,
                        Bytes(encoded.begin(), encoded.begin() + static_cast<long>(n)), 600),
                "none")
          << n;
  }
}

TEST(Compressors, refuse_bytes_behind_the_data) {
  for (const char* id : {"blosc", "zstd", "gzip", "zlib", "lz4", "bz2"}) {
    Bytes encoded = encode({id, 1}, image_bytes(300, 6));
    encoded.push_back(std::byte{0x5a});
    EXPECT_NE(refusal(id, encoded, 600), "none") << id;
  }
}

TEST(Compressors, refuse_a_blosc_header_that_claims_more_than_a_chunk) {
  Bytes encoded = encode({"blosc", 1}, image_bytes(600, 7));
  const Bytes huge = hex("f0ffff7f");  // the number of bytes is at 4
  std::copy(huge.begin(), huge.end(), encoded.begin() + 4);
  EXPECT_NE(refusal("blosc", encoded, 1200), "none");
}

TEST(Compressors, lzma_of_both_formats_is_read) {
  // lzma.compress(bytes(32)) of Python, with FORMAT_XZ and FORMAT_ALONE
  const Bytes xz = hex(
      "fd377a585a000004e6d6b4460200210116000000742fe5a3e0001f00065d00006e184798000000000c33d57c61f8"
      "5ac900012220c3d35abc1fb6f37d010000000004595a");
  const Bytes alone = hex("5d00008000ffffffffffffffff00006e194f93dfffff80020000");
  for (Bytes encoded : {xz, alone}) {
    EXPECT_EQ(decode("lzma", encoded, 32), Bytes(32));
    EXPECT_NE(refusal("lzma", encoded, 31), "none");
    EXPECT_NE(refusal("lzma", encoded, 33), "none");
    encoded.resize(encoded.size() - 9);
    EXPECT_NE(refusal("lzma", encoded, 32), "none");
  }
  EXPECT_NE(refusal("lzma", {}, 32), "none");
}

TEST(Compressors, refuse_lzma_that_claims_more_memory_than_any_preset_needs) {
  Bytes alone = hex("5d00008000ffffffffffffffff00006e194f93dfffff80020000");
  const Bytes largest_preset = hex("00000004");  // the size of the dictionary is at 1
  std::copy(largest_preset.begin(), largest_preset.end(), alone.begin() + 1);
  EXPECT_EQ(decode("lzma", alone, 32), Bytes(32));
  const Bytes twice = hex("00000008");
  std::copy(twice.begin(), twice.end(), alone.begin() + 1);
  EXPECT_EQ(refusal("lzma", alone, 32), "the lzma data of the chunk claim more than 80 MiB of memory");
}

TEST(Compressors, lz4_is_framed_like_numcodecs) {
  // numcodecs.LZ4().encode(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
  const Bytes encoded = hex("200000001f61010007506161616161");
  EXPECT_EQ(decode("lz4", encoded, 32), text_bytes(std::string(32, 'a')));
  EXPECT_EQ(encode({"lz4", 1}, text_bytes(std::string(32, 'a'))), encoded);
}

TEST(Compressors, gzip_and_bz2_and_zstd_may_have_several_members) {
  const Bytes first = image_bytes(100, 8);
  const Bytes second = image_bytes(50, 9);
  Bytes both = first;
  both.insert(both.end(), second.begin(), second.end());
  for (const char* id : {"gzip", "bz2", "zstd"}) {
    Bytes encoded = encode({id, 1}, first);
    const Bytes rest = encode({id, 1}, second);
    encoded.insert(encoded.end(), rest.begin(), rest.end());
    EXPECT_EQ(decode(id, encoded, both.size()), both) << id;
  }
}

TEST(Compressors, zstd_frames_need_not_say_how_much_they_hold) {
  const Bytes raw = image_bytes(1000, 10);
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  Bytes encoded(ZSTD_compressBound(raw.size()));
  encoded.resize(ZSTD_compress2(context, encoded.data(), encoded.size(), raw.data(), raw.size()));
  ZSTD_freeCCtx(context);
  ASSERT_EQ(ZSTD_getFrameContentSize(encoded.data(), encoded.size()), ZSTD_CONTENTSIZE_UNKNOWN);
  EXPECT_EQ(decode("zstd", encoded, raw.size()), raw);
}

TEST(Compressors, zstd_frames_that_are_written_say_how_much_they_hold) {
  const Bytes encoded = encode({"zstd", 1}, image_bytes(1000, 10));
  EXPECT_EQ(ZSTD_getFrameContentSize(encoded.data(), encoded.size()), 2000U);
}

TEST(Compressors, blosc_remembers_the_size_of_the_elements) {
  const Bytes encoded = encode({"blosc", 5, "zstd", 1, 0}, image_bytes(1000, 11), 2);
  EXPECT_EQ(encoded[3], std::byte{2});
}

TEST(DecodeBloscParts, are_the_parts_of_the_whole) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const Bytes raw = image_bytes(40'000, 12);
  for (Compressor compressor : all_compressors()) {
    if (compressor.id != "blosc") continue;
    for (const int block_size : {0, 4096, 30'000}) {
      compressor.blosc_blocksize = block_size;
      SCOPED_TRACE(name_of(compressor) + ", blocks of " + std::to_string(block_size));
      const Bytes encoded = encode(compressor, raw);
      Buffer block;
      for (int round = 0; round < 30; ++round) {
        // Some parts lie within a block, some reach over many; they may overlap.
        std::vector<Bytes> found(1 + random() % 5);
        std::vector<BytePart> parts;
        for (Bytes& part : found) {
          const std::size_t first = random() % 40'000;
          part.resize(2 * (random() % (random() % 2 == 0 ? 40'001 - first : std::min<std::size_t>(500, 40'001 - first))));
          parts.push_back({2 * first, part});
        }
        ASSERT_TRUE(decode_blosc_parts(encoded, raw.size(), parts, block));
        for (const BytePart& part : parts)
          EXPECT_TRUE(std::equal(part.into.begin(), part.into.end(), raw.data() + part.offset));
      }
    }
  }
}

TEST(DecodeBloscParts, leave_what_is_not_made_of_whole_elements_of_the_writer) {
  const Bytes raw = image_bytes(1000, 13);
  Bytes part(8);
  const std::array<BytePart, 1> parts{{{10, part}}};
  Buffer block;
  EXPECT_TRUE(decode_blosc_parts(encode({"blosc", 1}, raw, 8), 2000, parts, block));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), raw.data() + 10));
  EXPECT_FALSE(decode_blosc_parts(encode({"blosc", 1}, raw, 7), 2000, parts, block));
  EXPECT_THROW((void)decode_blosc_parts(encode({"blosc", 1}, raw, 8), 2008, parts, block), Error);
}

TEST(DecodeBloscParts, refuse_what_the_whole_is_refused_for) {
  Bytes noise(300);  // which blosc stores as it is
  std::mt19937 random(14);
  for (std::byte& byte : noise) byte = static_cast<std::byte>(random());
  for (const Bytes& raw : {image_bytes(150, 15), noise}) {
    for (const int shuffle : {0, 1, 2}) {
      const Bytes sound = encode({"blosc", 5, "zstd", shuffle, 64}, raw);
      for (std::size_t bit = 0; bit < 8 * 16; ++bit) {  // of the header
        Bytes damaged = sound;
        damaged[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
        Bytes halves(raw.size());
        const std::array<BytePart, 2> parts{
            {{0, std::span(halves).first(148)}, {148, std::span(halves).subspan(148)}}};
        Buffer block;
        try {
          if (!decode_blosc_parts(damaged, raw.size(), parts, block)) continue;
        } catch (const Error&) {
          continue;
        }
        ASSERT_EQ(refusal("blosc", damaged, raw.size()), "none") << "bit " << bit;
        EXPECT_EQ(decode("blosc", damaged, raw.size()), halves) << "bit " << bit;
      }
    }
  }
}

TEST(CheckCompressor, refuses_what_cannot_encode_and_names_it) {
  const auto refused = [](const Compressor& compressor, const char* name) {
    try {
      check_compressor(compressor, "here");
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_EQ(error.where(), "here");
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  refused({"lzma", 1}, "lzma");
  refused({"", 1}, "compressor");
  refused({"blosc", 10}, "clevel");
  refused({"blosc", -1}, "clevel");
  refused({"blosc", 1, "brotli"}, "brotli");
  refused({"blosc", 1, "zstd", -1}, "shuffle");
  refused({"blosc", 1, "zstd", 3}, "shuffle");
  refused({"blosc", 1, "zstd", 1, -1}, "blocksize");
  refused({"zstd", 23}, "level");
  refused({"lz4", 0}, "acceleration");
  refused({"bz2", 0}, "level");
}

}  // namespace
}  // namespace flatfield::zarr
