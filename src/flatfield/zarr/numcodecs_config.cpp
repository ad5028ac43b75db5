#include "flatfield/zarr/numcodecs_config.h"

#include <fmt/format.h>

#include <climits>

#include "flatfield/core/error.h"
#include "flatfield/zarr/compressors.h"

namespace flatfield::zarr {
namespace {

constexpr int kBloscAutoShuffle = -1;
constexpr int kBloscByteShuffle = 1;
constexpr int kBloscBitShuffle = 2;
constexpr int kLzmaRawFormat = 3;

int read_small(const ObjectReader& reader, std::string_view key, int missing) {
  if (key.empty() || reader.optional(key) == nullptr) return missing;
  return static_cast<int>(reader.get_int(key, INT_MIN, INT_MAX));
}

/// Checksums may stand at either end, and lzma streams may have no header: only what numcodecs does
/// unless told otherwise is read.
void refuse_other_framing(const ObjectReader& config, const std::string& id) {
  const auto refuse = [&](std::string_view key) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: the codec \"{}\" is not supported with {}", config.path_of(key),
                            id, config.require(key).dump()),
                config.where(), "write the array with another codec");
  };
  const bool is_checksum = id == "crc32" || id == "adler32" || id == "crc32c";
  if (is_checksum && config.optional("location") != nullptr &&
      config.get_string("location") != (id == "crc32c" ? "end" : "start"))
    refuse("location");
  if (id == "lzma" && read_small(config, "format", 1) == kLzmaRawFormat) refuse("format");
}

}  // namespace

Compressor read_numcodecs_config(const ObjectReader& config, const std::string& id, DType dtype) {
  const CompressorInfo* row = find_compressor(id);
  if (row == nullptr)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: the codec \"{}\" is not supported", config.path_of("id"), id),
                config.where(), fmt::format("write the array with one of {}", compressor_ids()));
  Compressor compressor;
  compressor.id = id;
  compressor.level = read_small(config, row->level_key, row->default_level);
  refuse_other_framing(config, id);
  if (id == "blosc") {
    compressor.blosc_cname =
        config.optional("cname") == nullptr ? "lz4" : config.get_string("cname");
    compressor.blosc_shuffle = read_small(config, "shuffle", kBloscByteShuffle);
    if (compressor.blosc_shuffle == kBloscAutoShuffle)
      compressor.blosc_shuffle = size_of(dtype) == 1 ? kBloscBitShuffle : kBloscByteShuffle;
    compressor.blosc_blocksize = read_small(config, "blocksize", 0);
  }
  return compressor;
}

}  // namespace flatfield::zarr
