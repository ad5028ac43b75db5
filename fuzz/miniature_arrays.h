#pragma once

#include <array>
#include <memory>
#include <span>
#include <string_view>

#include "flatfield/storage/memory_store.h"
#include "targets.h"

namespace flatfield::fuzz {

// Rows of fuzz/make_corpus.py as well, which reads them out of this file.

/// Members of the `.zarray` of an array of 24 x 40 voxels in one chunk.
inline constexpr std::array<std::string_view, 21> kChunkCodecs{
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "blosc", "cname": "blosclz", "clevel": 5, "shuffle": 1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 2})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "blosc", "cname": "lz4hc", "clevel": 9, "shuffle": 0})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "blosc", "cname": "snappy", "clevel": 5, "shuffle": 1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "blosc", "cname": "zlib", "clevel": 5, "shuffle": 1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": -1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "zstd", "level": 1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "gzip", "level": 1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "zlib", "level": 1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "lz4", "acceleration": 1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "bz2", "level": 1})",
    R"("dtype": "<u2", "filters": null, "compressor": {"id": "lzma", "format": 1})",
    R"("dtype": ">u2", "filters": null, "compressor": null)",
    R"("dtype": "<i4", "filters": [{"id": "delta", "dtype": "<i4", "astype": "<i2"}], "compressor": null)",
    R"("dtype": "<f4", "filters": [{"id": "delta", "dtype": "<f4"}, {"id": "shuffle", "elementsize": 4}], "compressor": {"id": "lz4", "acceleration": 1})",
    R"("dtype": "<f8", "filters": [{"id": "fixedscaleoffset", "dtype": "<f8", "astype": "<i2", "scale": 10, "offset": 100}], "compressor": null)",
    R"("dtype": "<f4", "filters": [{"id": "astype", "encode_dtype": "<f2", "decode_dtype": "<f4"}], "compressor": null)",
    R"("dtype": "<f4", "filters": [{"id": "bitround", "keepbits": 5}, {"id": "quantize", "dtype": "<f4", "digits": 1}], "compressor": null)",
    R"("dtype": "<u2", "filters": [{"id": "crc32"}], "compressor": null)",
    R"("dtype": "<u2", "filters": [{"id": "adler32"}], "compressor": {"id": "zlib", "level": 1})",
    R"("dtype": "<u2", "filters": [{"id": "zstd", "level": 1}], "compressor": {"id": "lz4", "acceleration": 1})",
};

/// The `codecs` of an array of 8 x 12 voxels of uint16 in one shard.
inline constexpr std::array<std::string_view, 7> kShardCodecs{
    R"([{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 6], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "index_location": "end"}}])",
    R"([{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 6], "codecs": [{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "zstd", "configuration": {"level": 1, "checksum": false}}], "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "index_location": "start"}}])",
    R"([{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 6], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip", "configuration": {"level": 1}}], "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]}}])",
    R"([{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 12], "codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 6], "codecs": [{"name": "transpose", "configuration": {"order": [1, 0]}}, {"name": "bytes", "configuration": {"endian": "little"}}], "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "index_location": "start"}}], "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}}])",
    R"([{"name": "transpose", "configuration": {"order": [1, 0]}}, {"name": "sharding_indexed", "configuration": {"chunk_shape": [6, 4], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}}])",
    R"([{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 6], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "index_codecs": [{"name": "bytes", "configuration": {"endian": "big"}}], "index_location": "start"}}, {"name": "zstd", "configuration": {"level": 1, "checksum": false}}])",
    R"([{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 6], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 2, "blocksize": 0}}, {"name": "crc32c"}], "index_codecs": [{"name": "transpose", "configuration": {"order": [2, 1, 0]}}, {"name": "bytes", "configuration": {"endian": "little"}}]}}])",
};

/// The store of an array whose codecs are the row that the first byte of `input` (not empty)
/// chooses, and whose only object is all that follows it.
[[nodiscard]] std::shared_ptr<storage::MemoryStore> miniature_array(
    std::span<const std::string_view> rows, Input input);

}  // namespace flatfield::fuzz
