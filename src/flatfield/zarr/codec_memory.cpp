// What zstd says of its own needs is not part of its stable interface.
#define ZSTD_STATIC_LINKING_ONLY
#include "flatfield/zarr/codec_memory.h"

#include <zstd.h>

#include <algorithm>

namespace flatfield::zarr {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

/// Blosc cuts a chunk into blocks, of which zstd sees one at a time: of at most this size at any level.
constexpr std::int64_t kLargestBloscBlock = 4 * kMebibyte;

/// zstd's level for a level of Blosc (blosc.c, zstd_wrap_compress).
int zstd_level_of_blosc(int level) { return level < 9 ? 2 * level - 1 : ZSTD_maxCLevel(); }

std::int64_t zstd_encoder_bytes(int level, std::int64_t raw_bytes) {
  const ZSTD_compressionParameters parameters =
      ZSTD_getCParams(level, static_cast<unsigned long long>(raw_bytes), 0);
  return static_cast<std::int64_t>(ZSTD_estimateCCtxSize_usingCParams(parameters));
}

/// Working memory of a library that encodes `raw_bytes` at a time; from the manuals of zlib and bzip2.
std::int64_t library_bytes(const Compressor& compressor, std::int64_t raw_bytes) {
  if (compressor.id == "blosc") {
    const std::int64_t block = std::min(raw_bytes, kLargestBloscBlock);
    const bool is_zstd = compressor.blosc_cname == "zstd";
    return 3 * std::min(block, kMebibyte) +
           (is_zstd ? zstd_encoder_bytes(zstd_level_of_blosc(compressor.level), block) : 0);
  }
  if (compressor.id == "zstd") return zstd_encoder_bytes(compressor.level, raw_bytes);
  if (compressor.id == "bz2") return 8 * kMebibyte;
  if (compressor.id == "lzma") return 65 * kMebibyte;  // of the highest preset, to decode
  return kMebibyte / 2;
}

/// Rooms for encoded chunks that the steps of a chain hand on in.
std::int64_t rooms(const ArrayMetadata& metadata, std::size_t steps, double stored_share) {
  const auto chunk = static_cast<double>(metadata.chunk_bytes()) * stored_share;
  return static_cast<std::int64_t>(std::min<std::size_t>(steps, 2)) * static_cast<std::int64_t>(chunk + chunk / 64.0);
}

/// How much larger than a chunk filters make what is stored, at most: one may store wider elements.
double widening(const CodecChain& chain) {
  double now = 1.0;
  double most = 1.0;
  for (const Filter& filter : chain.filters) {
    now *= static_cast<double>(size_of(filter.encoded.dtype)) / static_cast<double>(size_of(filter.decoded.dtype));
    most = std::max(most, now);
  }
  return most;
}

bool is_reordered(const ArrayMetadata& metadata) {
  return !metadata.codecs.order.empty() || metadata.codecs.byte_order != ByteOrder::kLittle;
}

}  // namespace

std::int64_t encoder_bytes(const ArrayMetadata& metadata, double stored_share) {
  const auto chunk = static_cast<std::int64_t>(metadata.chunk_bytes());
  std::int64_t bytes = rooms(metadata, metadata.codecs.compressors.size(), stored_share);
  if (is_reordered(metadata)) bytes += chunk;
  for (const Compressor& compressor : metadata.codecs.compressors) bytes += library_bytes(compressor, chunk);
  return bytes;
}

std::int64_t decoder_bytes(const ArrayMetadata& metadata, double stored_share) {
  const CodecChain& chain = metadata.codecs;
  const auto chunk = static_cast<std::int64_t>(metadata.chunk_bytes());
  // As it is stored, and what lies between two steps.
  const std::size_t steps = chain.filters.size() + chain.compressors.size();
  std::int64_t bytes = rooms(metadata, 1, stored_share) + rooms(metadata, steps > 1 ? steps - 1 : 0, stored_share);
  bytes = static_cast<std::int64_t>(static_cast<double>(bytes) * widening(chain));
  if (is_reordered(metadata) || chain.sharding) bytes += 2 * chunk;
  for (const Compressor& compressor : chain.compressors)
    bytes += compressor.id == "lzma" || compressor.id == "bz2" ? library_bytes(compressor, chunk) : kMebibyte / 2;
  return bytes;
}

std::int64_t expected_bytes(const ArrayMetadata& metadata, std::int64_t count, double stored_share) {
  // More than that are not fetched together, but fewer of them at the edge of a volume may be.
  count = std::min(count, kMostExpectedBytes / static_cast<std::int64_t>(metadata.chunk_bytes()));
  if (count < 1) return 0;
  const std::int64_t room = rooms(metadata, 1, stored_share);
  // Those of a shard come together, and are then taken apart.
  return metadata.is_sharded() ? (2 * count - 1) * room : (count - 1) * room;
}

}  // namespace flatfield::zarr
