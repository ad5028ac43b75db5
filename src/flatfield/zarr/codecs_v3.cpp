#include "flatfield/zarr/codecs_v3.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <climits>
#include <optional>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/zarr/axis_order.h"
#include "flatfield/zarr/compressors.h"
#include "flatfield/zarr/numcodecs_config.h"

namespace flatfield::zarr {
namespace {

/// Codecs of numcodecs go by this name in Zarr v3 ("numcodecs.zlib").
constexpr std::string_view kNumcodecsPrefix = "numcodecs.";

constexpr std::array<std::string_view, 3> kShuffleNames{"noshuffle", "shuffle", "bitshuffle"};

/// The codecs of the specification that turn bytes into bytes, under the same names as in v2.
bool is_core_compressor(std::string_view name) {
  return name == "blosc" || name == "zstd" || name == "gzip" || name == "crc32c";
}

[[noreturn]] void fail_unsupported(const std::string& what, const std::string& where) {
  throw Error(
      ErrorCode::kUnsupported, what, where,
      "write the array with the codecs transpose, bytes, sharding_indexed, blosc, zstd, gzip "
      "and crc32c");
}

/// Members that are not known may change what the bytes mean.
void refuse_unknown(const ObjectReader& configuration, const std::vector<std::string_view>& known) {
  try {
    configuration.refuse_unknown(known);
  } catch (const Error& error) {
    throw Error(ErrorCode::kUnsupported, error.message(), error.where());
  }
}

/// Reads one list of codecs, in the order of encoding.
class ChainReader {
 public:
  ChainReader(Shape shape, DType dtype, const std::string& where)
      : shape_(std::move(shape)), dtype_(dtype), where_(where) {}

  void read(const Json& entry, const std::string& path) {
    const NamedConfiguration codec = read_named(entry, where_, path);
    const ObjectReader configuration(codec.configuration, where_, codec.path);
    if (codec.name == "transpose")
      read_transpose(configuration, path);
    else if (codec.name == "bytes")
      read_bytes(configuration, path);
    else if (codec.name == "sharding_indexed")
      read_sharding(configuration, path);
    else if (is_core_compressor(codec.name) || is_numcodecs(codec.name))
      read_compressor(codec.name, configuration, path);
    else
      fail_unsupported(fmt::format("{}: the codec \"{}\" is not supported", path, codec.name),
                       where_);
  }

  CodecChain take(const std::string& path) {
    if (!has_serializer_)
      throw Error(ErrorCode::kBadInput,
                  fmt::format("{}: no codec turns the array into bytes", path), where_);
    if (std::is_sorted(chain_.order.begin(), chain_.order.end())) chain_.order.clear();
    return std::move(chain_);
  }

 private:
  static bool is_numcodecs(std::string_view name) {
    return name.starts_with(kNumcodecsPrefix) &&
           find_compressor(name.substr(kNumcodecsPrefix.size())) != nullptr;
  }

  [[noreturn]] void fail_place(const std::string& path, std::string_view name) const {
    throw Error(ErrorCode::kBadInput,
                fmt::format("{}: \"{}\" cannot stand {} what turns the array into bytes", path,
                            name, has_serializer_ ? "behind" : "before"),
                where_);
  }

  void read_transpose(const ObjectReader& configuration, const std::string& path) {
    if (has_serializer_) fail_place(path, "transpose");
    refuse_unknown(configuration, {"order"});
    std::vector<int> order;
    const Json& json = configuration.require("order");
    if (json.is_string() && (json.as_string() == "C" || json.as_string() == "F")) {
      // As drafts of the specification had it.
      order = reversed_axes(shape_.size());
      if (json.as_string() == "C") std::reverse(order.begin(), order.end());
    } else {
      for (const std::int64_t axis : configuration.get_ints("order", 0, INT_MAX))
        order.push_back(static_cast<int>(axis));
    }
    // An empty order is the right one for an array without axes, and else forgets them all.
    if (order.size() != shape_.size()) configuration.fail("order", "not one entry per axis");
    check_order(order, shape_.size(), ErrorCode::kBadInput, where_);
    shape_ = permuted_shape(shape_, order);
    chain_.order = chain_.order.empty() ? order : composed(chain_.order, order);
  }

  /// The order of an array whose axes were brought into the order `first`, then `second`.
  static std::vector<int> composed(const std::vector<int>& first, const std::vector<int>& second) {
    std::vector<int> order;
    order.reserve(second.size());
    for (const int axis : second) order.push_back(first[static_cast<std::size_t>(axis)]);
    return order;
  }

  void read_bytes(const ObjectReader& configuration, const std::string& path) {
    if (has_serializer_) fail_place(path, "bytes");
    has_serializer_ = true;
    refuse_unknown(configuration, {"endian"});
    if (configuration.optional("endian") == nullptr) {
      if (info(dtype_).swap_size > 1) configuration.fail("endian", "missing");
      return;
    }
    const std::string& endian = configuration.get_string("endian");
    if (endian != "little" && endian != "big")
      configuration.fail("endian",
                         fmt::format("expected \"little\" or \"big\", found \"{}\"", endian));
    chain_.byte_order = endian == "little" ? ByteOrder::kLittle : ByteOrder::kBig;
  }

  void read_sharding(const ObjectReader& configuration, const std::string& path) {
    if (has_serializer_) fail_place(path, "sharding_indexed");
    has_serializer_ = true;
    refuse_unknown(configuration, {"chunk_shape", "codecs", "index_codecs", "index_location"});
    ShardingCodec sharding;
    sharding.chunk_shape = configuration.get_ints("chunk_shape", 1);
    check_shard(shape_, sharding.chunk_shape, ErrorCode::kBadInput, where_);
    sharding.codecs = parse_codecs(configuration.require("codecs"), sharding.chunk_shape, dtype_,
                                   where_, configuration.path_of("codecs"));
    Shape index_shape;
    for (std::size_t i = 0; i < shape_.size(); ++i)
      index_shape.push_back(shape_[i] / sharding.chunk_shape[i]);
    index_shape.push_back(2);
    const std::string index_path = configuration.path_of("index_codecs");
    sharding.index.codecs = parse_codecs(configuration.require("index_codecs"), index_shape,
                                         DType::kUint64, where_, index_path);
    check_index_codecs(sharding.index.codecs, index_path);
    if (configuration.optional("index_location") != nullptr) {
      const std::string& location = configuration.get_string("index_location");
      if (location != "start" && location != "end")
        configuration.fail("index_location", fmt::format("expected \"start\" or \"end\", found "
                                                         "\"{}\"",
                                                         location));
      sharding.index.at_end = location == "end";
    }
    chain_.sharding = std::make_shared<const ShardingCodec>(std::move(sharding));
  }

  /// The place of an index must be known before it is read, and so its size.
  void check_index_codecs(const CodecChain& chain, const std::string& path) const {
    if (chain.sharding)
      fail_unsupported(fmt::format("{}: \"sharding_indexed\" is not supported here", path), where_);
    for (const Compressor& compressor : chain.compressors)
      if (!find_compressor(compressor.id)->added_bytes)
        fail_unsupported(fmt::format("{}: \"{}\" is not supported here", path, compressor.id),
                         where_);
  }

  void read_compressor(const std::string& name, const ObjectReader& configuration,
                       const std::string& path) {
    if (!has_serializer_) fail_place(path, name);
    if (!is_core_compressor(name)) {
      const std::string id = name.substr(kNumcodecsPrefix.size());
      chain_.compressors.push_back(read_numcodecs_config(configuration, id, dtype_));
      return;
    }
    Compressor compressor;
    compressor.id = name;
    if (name == "blosc") {
      read_blosc(configuration, compressor);
    } else if (name == "crc32c") {
      refuse_unknown(configuration, {});
    } else {
      refuse_unknown(configuration, name == "zstd"
                                        ? std::vector<std::string_view>{"level", "checksum"}
                                        : std::vector<std::string_view>{"level"});
      compressor.level = static_cast<int>(configuration.get_int("level", INT_MIN, INT_MAX));
    }
    chain_.compressors.push_back(std::move(compressor));
  }

  /// Ranges are not checked: encoded data say themselves how they are decoded.
  static void read_blosc(const ObjectReader& configuration, Compressor& compressor) {
    refuse_unknown(configuration, {"cname", "clevel", "shuffle", "typesize", "blocksize"});
    compressor.blosc_cname = configuration.get_string("cname");
    compressor.level = static_cast<int>(configuration.get_int("clevel", INT_MIN, INT_MAX));
    const std::string& shuffle = configuration.get_string("shuffle");
    const auto found = std::find(kShuffleNames.begin(), kShuffleNames.end(), shuffle);
    if (found == kShuffleNames.end())
      configuration.fail("shuffle", fmt::format("expected one of {}, found \"{}\"",
                                                fmt::join(kShuffleNames, ", "), shuffle));
    compressor.blosc_shuffle = static_cast<int>(found - kShuffleNames.begin());
    if (configuration.optional("blocksize") != nullptr)
      compressor.blosc_blocksize = configuration.get_int("blocksize", 0, INT_MAX);
  }

  CodecChain chain_;
  bool has_serializer_ = false;
  Shape shape_;  ///< of the array as the next codec sees it
  DType dtype_;
  const std::string& where_;
};

Json named(std::string_view name, Json configuration) {
  Json out = Json::object();
  out["name"] = name;
  if (!configuration.is_null()) out["configuration"] = std::move(configuration);
  return out;
}

Json print_compressor(const Compressor& compressor, DType dtype) {
  Json configuration;
  if (compressor.id == "blosc") {
    configuration["typesize"] = size_of(dtype);
    configuration["cname"] = compressor.blosc_cname;
    configuration["clevel"] = compressor.level;
    configuration["shuffle"] = kShuffleNames.at(static_cast<std::size_t>(compressor.blosc_shuffle));
    configuration["blocksize"] = compressor.blosc_blocksize;
  } else if (compressor.id == "zstd") {
    configuration["level"] = compressor.level;
    configuration["checksum"] = false;
  } else if (compressor.id == "gzip") {
    configuration["level"] = compressor.level;
  }
  return named(is_core_compressor(compressor.id) ? compressor.id
                                                 : std::string(kNumcodecsPrefix) + compressor.id,
               std::move(configuration));
}

}  // namespace

NamedConfiguration read_named(const Json& json, const std::string& where, const std::string& path) {
  if (json.is_string()) return {json.as_string(), Json::object(), path};
  const ObjectReader reader(json, where, path);
  reader.refuse_unknown({"name", "configuration", "must_understand"});
  NamedConfiguration named{reader.get_string("name"), Json::object(),
                           reader.path_of("configuration")};
  if (const Json* configuration = reader.optional("configuration"))
    named.configuration = *configuration;
  return named;
}

CodecChain parse_codecs(const Json& list, const Shape& shape, DType dtype, const std::string& where,
                        const std::string& path) {
  if (!list.is_array())
    throw Error(ErrorCode::kBadInput,
                fmt::format("{}: expected an array, found {}", path, list.type_name()), where);
  ChainReader reader(shape, dtype, where);
  std::size_t index = 0;
  for (const Json& entry : list.as_array())
    reader.read(entry, fmt::format("{}[{}]", path, index++));
  return reader.take(path);
}

Json print_codecs(const CodecChain& chain, DType dtype) {
  Json list = Json::array();
  if (!chain.order.empty()) {
    Json configuration;
    configuration["order"] = chain.order;
    list.push_back(named("transpose", std::move(configuration)));
  }
  if (chain.sharding) {
    Json configuration;
    configuration["chunk_shape"] = chain.sharding->chunk_shape;
    configuration["codecs"] = print_codecs(chain.sharding->codecs, dtype);
    configuration["index_codecs"] = print_codecs(chain.sharding->index.codecs, DType::kUint64);
    configuration["index_location"] = chain.sharding->index.at_end ? "end" : "start";
    list.push_back(named("sharding_indexed", std::move(configuration)));
  } else {
    Json configuration;
    if (info(dtype).swap_size > 1)
      configuration["endian"] = chain.byte_order == ByteOrder::kLittle ? "little" : "big";
    list.push_back(named("bytes", std::move(configuration)));
  }
  for (const Compressor& compressor : chain.compressors)
    list.push_back(print_compressor(compressor, dtype));
  return list;
}

void check_codecs_v3(const CodecChain& chain, const std::string& where) {
  for (const Compressor& compressor : chain.compressors)
    if (!is_core_compressor(compressor.id))
      throw Error(ErrorCode::kUsage,
                  fmt::format("Zarr format 3 has no codec \"{}\"", compressor.id), where,
                  "use blosc, zstd or gzip");
}

}  // namespace flatfield::zarr
