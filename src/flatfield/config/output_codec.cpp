#include "flatfield/config/output_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "flatfield/core/error.h"

namespace flatfield::config {
namespace {

/// Codecs of --output-codec, their Zarr compressor, and the levels that they take.
struct OutputCodec {
  std::string_view name;
  std::string_view id;
  std::string_view blosc_cname;
  int lowest_level;
  int highest_level;
};
constexpr std::array<OutputCodec, 12> kOutputCodecs{{
    {"blosc-zstd", "blosc", "zstd", 0, 9},
    {"blosc-lz4", "blosc", "lz4", 0, 9},
    {"blosc-lz4hc", "blosc", "lz4hc", 0, 9},
    {"blosc-blosclz", "blosc", "blosclz", 0, 9},
    {"blosc-zlib", "blosc", "zlib", 0, 9},
    {"blosc-snappy", "blosc", "snappy", 0, 9},
    {"zstd", "zstd", "", 1, 22},
    {"gzip", "gzip", "", 0, 9},
    {"zlib", "zlib", "", 0, 9},
    {"lz4", "lz4", "", 1, 65537},
    {"bz2", "bz2", "", 1, 9},
    {"none", "", "", 0, 0},
}};

const OutputCodec& find_codec(std::string_view name) {
  return *std::find_if(kOutputCodecs.begin(), kOutputCodecs.end(),
                       [&](const OutputCodec& codec) { return codec.name == name; });
}

}  // namespace

std::vector<std::string> output_codec_names() {
  std::vector<std::string> names;
  for (const OutputCodec& codec : kOutputCodecs) names.emplace_back(codec.name);
  return names;
}

void check_output_codec_level(const std::string& name, int level) {
  const OutputCodec& codec = find_codec(name);
  if (codec.id.empty() || (level >= codec.lowest_level && level <= codec.highest_level)) return;
  throw Error(ErrorCode::kUsage,
              fmt::format("--output-codec-level: {} takes {}..{}, found {}", codec.name,
                          codec.lowest_level, codec.highest_level, level),
              "", "choose a level in this range");
}

std::vector<zarr::Compressor> output_codec_compressors(const std::string& name, int level) {
  const OutputCodec& codec = find_codec(name);
  if (codec.id.empty()) return {};
  zarr::Compressor compressor;
  compressor.id = codec.id;
  compressor.level = level;
  compressor.blosc_cname = codec.blosc_cname;
  return {compressor};
}

}  // namespace flatfield::config
