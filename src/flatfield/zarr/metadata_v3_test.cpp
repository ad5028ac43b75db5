#include "flatfield/zarr/metadata_v3.h"

#include <gtest/gtest.h>

#include <map>

#include "flatfield/core/error.h"

namespace flatfield::zarr {
namespace {

using Members = std::map<std::string, std::string>;

const std::string kBytes = R"({"name": "bytes", "configuration": {"endian": "little"}})";
const std::string kCrc = R"({"name": "crc32c"})";

std::string sharding(const std::string& codecs = kBytes,
                     const std::string& index = kBytes + ", " + kCrc,
                     const std::string& more = "") {
  return R"({"name": "sharding_indexed", "configuration": {"chunk_shape": [2, 5], "codecs": [)" +
         codecs + R"(], "index_codecs": [)" + index + "]" + more + "}}";
}

/// A valid document in which some members are others, or missing where the text is empty.
std::string document(const Members& changes = {}) {
  Members members = {
      {"zarr_format", "3"},
      {"node_type", "\"array\""},
      {"shape", "[10, 20]"},
      {"data_type", "\"uint16\""},
      {"chunk_grid", R"({"name": "regular", "configuration": {"chunk_shape": [4, 5]}})"},
      {"chunk_key_encoding", R"({"name": "default", "configuration": {"separator": "/"}})"},
      {"fill_value", "7"},
      {"codecs", "[" + kBytes + "]"},
      {"attributes", R"({"a": 1})"},
  };
  for (const auto& [key, text] : changes) members[key] = text;
  std::string out;
  for (const auto& [key, text] : members)
    if (!text.empty()) out += (out.empty() ? "{\"" : ", \"") + key + "\": " + text;
  return out + "}";
}

ArrayMetadata parse(const Members& changes = {}) {
  return parse_array_v3(document(changes), "here");
}

std::pair<ErrorCode, std::string> refusal(const std::string& key, const std::string& text) {
  try {
    (void)parse({{key, text}});
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "here") << error.what();
    return {error.code(), error.what()};
  }
  ADD_FAILURE() << "accepted: " << key << " " << text;
  return {ErrorCode::kInternal, ""};
}

TEST(ParseArrayV3, reads_what_it_is_told) {
  const ArrayMetadata metadata = parse({{"dimension_names", R"(["y", null])"}});
  EXPECT_EQ(metadata.zarr_format, 3);
  EXPECT_EQ(metadata.shape, (Shape{10, 20}));
  EXPECT_EQ(metadata.chunk_shape, (Shape{4, 5}));
  EXPECT_FALSE(metadata.is_sharded());
  EXPECT_EQ(metadata.dtype, DType::kUint16);
  EXPECT_EQ(metadata.fill_value, (std::vector{std::byte{7}, std::byte{0}}));
  EXPECT_EQ(metadata.key_encoding, KeyEncoding::kDefault);
  EXPECT_EQ(metadata.separator, '/');
  ASSERT_EQ(metadata.dimension_names.size(), 2U);
  EXPECT_EQ(metadata.dimension_names[0], "y");
  EXPECT_EQ(metadata.dimension_names[1], std::nullopt);
  EXPECT_EQ(metadata.attributes.find("a")->as_int64(), 1);
}

TEST(ParseArrayV3, what_may_be_missing_is) {
  const ArrayMetadata metadata = parse({{"attributes", ""},
                                        {"dimension_names", "null"},
                                        {"storage_transformers", "[]"},
                                        {"data_type", "\"uint8\""},
                                        {"codecs", R"(["bytes"])"}});
  EXPECT_EQ(metadata.attributes, Json::object());
  EXPECT_TRUE(metadata.dimension_names.empty());
}

TEST(ParseArrayV3, both_key_encodings_have_a_separator_of_their_own) {
  const auto keys = [](const char* text) {
    const ArrayMetadata metadata = parse({{"chunk_key_encoding", text}});
    return object_key(metadata, Shape{1, 2});
  };
  EXPECT_EQ(keys(R"("default")"), "c/1/2");
  EXPECT_EQ(keys(R"({"name": "default", "configuration": {"separator": "."}})"), "c.1.2");
  EXPECT_EQ(keys(R"({"name": "v2"})"), "1.2");
  EXPECT_EQ(keys(R"({"name": "v2", "configuration": {"separator": "/"}})"), "1/2");
}

TEST(ParseArrayV3, codecs_become_a_chain) {
  const CodecChain chain =
      parse({{"codecs", R"([{"name": "transpose", "configuration": {"order": [1, 0]}},
                            {"name": "bytes", "configuration": {"endian": "big"}},
                            {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 3,
                             "shuffle": "bitshuffle", "typesize": 2, "blocksize": 0}},
                            {"name": "zstd", "configuration": {"level": 5, "checksum": true}},
                            {"name": "gzip", "configuration": {"level": 2}, "must_understand": true},
                            "crc32c", {"name": "numcodecs.bz2", "configuration": {"level": 9}}])"}})
          .codecs;
  EXPECT_EQ(chain.order, (std::vector<int>{1, 0}));
  EXPECT_EQ(chain.byte_order, ByteOrder::kBig);
  EXPECT_EQ(chain.compressors,
            (std::vector<Compressor>{
                {"blosc", 3, "lz4", 2, 0}, {"zstd", 5}, {"gzip", 2}, {"crc32c"}, {"bz2", 9}}));
}

TEST(ParseArrayV3, permutations_follow_each_other) {
  const auto order = [](const char* text) {
    return parse({{"shape", "[2, 3, 4]"},
                  {"chunk_grid",
                   R"({"name": "regular", "configuration": {"chunk_shape": [2, 3, 4]}})"},
                  {"codecs", "[" + std::string(text) + ", " + kBytes + "]"}})
        .codecs.order;
  };
  const std::string rotate = R"({"name": "transpose", "configuration": {"order": [1, 2, 0]}})";
  EXPECT_EQ(order(rotate.c_str()), (std::vector<int>{1, 2, 0}));
  EXPECT_EQ(order((rotate + "," + rotate).c_str()), (std::vector<int>{2, 0, 1}));
  EXPECT_EQ(order((rotate + "," + rotate + "," + rotate).c_str()), (std::vector<int>{}));
  EXPECT_EQ(order(R"({"name": "transpose", "configuration": {"order": "F"}})"),
            (std::vector<int>{2, 1, 0}));
  EXPECT_EQ(order(R"({"name": "transpose", "configuration": {"order": "C"}})"),
            (std::vector<int>{}));
}

TEST(ParseArrayV3, the_chunks_of_a_plain_shard_are_those_of_the_array) {
  const ArrayMetadata metadata =
      parse({{"codecs", "[" + sharding(kBytes, kBytes, R"(, "index_location": "start")") + "]"}});
  EXPECT_EQ(metadata.shard_shape, (Shape{4, 5}));
  EXPECT_EQ(metadata.chunk_shape, (Shape{2, 5}));
  EXPECT_FALSE(metadata.shard_index.at_end);
  EXPECT_TRUE(metadata.shard_index.codecs.compressors.empty());
  EXPECT_EQ(metadata.codecs.sharding, nullptr);
  EXPECT_EQ(parse({{"codecs", "[" + sharding() + "]"}}).shard_index, ShardIndexFormat{});
}

TEST(ParseArrayV3, a_shard_that_is_changed_as_a_whole_is_a_chunk) {
  for (const std::string& codecs :
       {sharding() + ", " + kCrc,
        R"({"name": "transpose", "configuration": {"order": [1, 0]}}, )"
        R"({"name": "sharding_indexed", "configuration": {"chunk_shape": [5, 2], "codecs": [)" +
            kBytes + R"(], "index_codecs": [)" + kBytes + "]}}"}) {
    const ArrayMetadata metadata = parse({{"codecs", "[" + codecs + "]"}});
    EXPECT_FALSE(metadata.is_sharded());
    EXPECT_EQ(metadata.chunk_shape, (Shape{4, 5}));
    ASSERT_NE(metadata.codecs.sharding, nullptr);
  }
}

TEST(ParseArrayV3, fill_values_are_of_the_type_of_the_array) {
  const auto fill = [](const char* type, const char* text) {
    return parse({{"data_type", std::string("\"") + type + "\""}, {"fill_value", text}}).fill_value;
  };
  const auto bytes = [](std::vector<unsigned> values) {
    std::vector<std::byte> out;
    for (const unsigned value : values) out.push_back(static_cast<std::byte>(value));
    return out;
  };
  EXPECT_EQ(fill("float32", "\"0x7fc00001\""), bytes({1, 0, 0xc0, 0x7f}));
  EXPECT_EQ(fill("float16", "\"0x3c00\""), bytes({0, 0x3c}));
  EXPECT_EQ(fill("float64", "\"-Infinity\""), bytes({0, 0, 0, 0, 0, 0, 0xf0, 0xff}));
  EXPECT_EQ(fill("bool", "true"), bytes({1}));
  EXPECT_EQ(fill("complex64", "[1.0, \"0x00000000\"]"), bytes({0, 0, 0x80, 0x3f, 0, 0, 0, 0}));
  EXPECT_EQ(fill("uint64", "18446744073709551615"), std::vector<std::byte>(8, std::byte{255}));
}

TEST(ParseArrayV3, extensions_that_need_not_be_understood_are_ignored) {
  EXPECT_NO_THROW((void)parse({{"my_extension", R"({"must_understand": false, "x": 1})"}}));
}

TEST(ParseArrayV3, refuses_features_it_does_not_read_by_their_name) {
  const auto expect_unsupported = [](const char* key, const std::string& text, const char* name) {
    const auto [code, message] = refusal(key, text);
    EXPECT_EQ(code, ErrorCode::kUnsupported) << message;
    EXPECT_NE(message.find(name), std::string::npos) << message;
  };
  expect_unsupported("zarr_format", "2", "zarr_format 2");
  expect_unsupported("my_extension", "{}", "my_extension");
  expect_unsupported("my_extension", R"({"must_understand": true})", "my_extension");
  expect_unsupported("data_type", "\"string\"", "string");
  expect_unsupported("data_type", R"({"name": "numpy.datetime64", "configuration": {"unit": "s"}})",
                     "numpy.datetime64");
  expect_unsupported("data_type", "\"r16\"", "r16");
  expect_unsupported("chunk_grid", R"({"name": "rectangular"})", "rectangular");
  expect_unsupported("chunk_key_encoding", R"({"name": "fanout"})", "fanout");
  expect_unsupported("storage_transformers", R"([{"name": "mine"}])", "mine");
  expect_unsupported("codecs", R"([{"name": "zfp"}])", "zfp");
  expect_unsupported("codecs", "[" + kBytes + R"(, {"name": "numcodecs.fletcher32"}])",
                     "numcodecs.fletcher32");
  expect_unsupported("codecs", "[" + kBytes + R"(, {"name": "gzip", "configuration":
                     {"level": 1, "window": 3}}])",
                     "window");
  expect_unsupported("codecs",
                     "[" + sharding(kBytes, kBytes + R"(, {"name": "gzip",
                     "configuration": {"level": 1}})") +
                         "]",
                     "gzip");
  expect_unsupported("codecs", "[" + sharding(kBytes + ", \"lz5\"") + "]", "lz5");
  expect_unsupported("codecs", "[" + sharding(kBytes, kBytes, R"(, "index_order": "C")") + "]",
                     "index_order");
  expect_unsupported("chunk_grid", R"({"name": "regular", "configuration": {"chunk_shape":
                     [100000, 100000]}})",
                     "2 GiB");
}

TEST(ParseArrayV3, refuses_what_is_not_valid) {
  const std::string transpose = R"({"name": "transpose", "configuration": {"order": )";
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"zarr_format", ""},
      {"node_type", ""},
      {"node_type", "\"dataset\""},
      {"shape", "[-1, 2]"},
      {"shape", "[10]"},
      {"shape", "[9223372036854775807, 9223372036854775807]"},
      {"data_type", "{}"},
      {"data_type", "3"},
      {"chunk_grid", R"({"name": "regular"})"},
      {"chunk_grid", R"({"name": "regular", "configuration": {"chunk_shape": [0, 5]}})"},
      {"chunk_grid", R"({"name": "regular", "configuration": {"chunk_shape": [5]}})"},
      {"chunk_grid", R"({"configuration": {"chunk_shape": [4, 5]}})"},
      {"chunk_key_encoding", R"({"name": "v2", "configuration": {"separator": "-"}})"},
      {"fill_value", ""},
      {"fill_value", "null"},
      {"fill_value", "\"0x0000\""},
      {"fill_value", "65536"},
      {"dimension_names", R"(["y"])"},
      {"dimension_names", R"(["y", 1])"},
      {"attributes", "[]"},
      {"codecs", ""},
      {"codecs", "[]"},
      {"codecs", "{}"},
      {"codecs", "[1]"},
      {"codecs", R"([{"name": "bytes"}])"},
      {"codecs", R"([{"name": "bytes", "configuration": {"endian": "middle"}}])"},
      {"codecs", "[" + kBytes + ", " + kBytes + "]"},
      {"codecs", "[" + kCrc + ", " + kBytes + "]"},
      {"codecs", "[" + kBytes + ", " + transpose + "[1, 0]}}]"},
      {"codecs", "[" + transpose + "[0, 0]}}, " + kBytes + "]"},
      {"codecs", "[" + transpose + "[0]}}, " + kBytes + "]"},
      {"codecs", "[" + transpose + "[]}}, " + kBytes + "]"},
      {"codecs", "[" + kBytes + R"(, {"name": "blosc"}])"},
      {"codecs",
       "[" + kBytes + R"(, {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 3,
                 "shuffle": "auto"}}])"},
      {"codecs", "[" + sharding(kBytes, kBytes, R"(, "index_location": "middle")") + "]"},
      {"codecs", "[" + sharding("") + "]"},
      {"codecs", R"([{"name": "sharding_indexed", "configuration": {"chunk_shape": [3, 5],
                 "codecs": [], "index_codecs": []}}])"},
  };
  for (const auto& [key, text] : cases) {
    const auto [code, message] = refusal(key, text);
    EXPECT_EQ(code, ErrorCode::kBadInput) << key << " " << text << ": " << message;
  }
}

TEST(ParseArrayV3, every_beginning_of_a_document_is_refused) {
  const std::string text = document({{"codecs", "[" + sharding() + "]"}});
  for (std::size_t n = 0; n < text.size(); ++n)
    EXPECT_THROW((void)parse_array_v3(text.substr(0, n), "x"), Error) << n;
}

TEST(PrintArrayV3, what_is_printed_reads_back_as_the_same) {
  for (const std::string& codecs :
       {kBytes, sharding(),
        sharding(kBytes + ", " + kCrc, kBytes, R"(, "index_location": "start")"),
        R"({"name": "transpose", "configuration": {"order": [1, 0]}}, )" + kBytes,
        sharding() + ", " + kCrc}) {
    const ArrayMetadata first =
        parse({{"codecs", "[" + codecs + "]"}, {"dimension_names", R"(["y", null])"}});
    const ArrayMetadata second = parse_array_v3(print_array_v3(first), "printed");
    EXPECT_EQ(second.shape, first.shape);
    EXPECT_EQ(second.chunk_shape, first.chunk_shape);
    EXPECT_EQ(second.shard_shape, first.shard_shape);
    EXPECT_EQ(second.shard_index, first.shard_index);
    EXPECT_EQ(second.codecs, first.codecs);
    EXPECT_EQ(second.fill_value, first.fill_value);
    EXPECT_EQ(second.dimension_names, first.dimension_names);
    EXPECT_EQ(second.attributes, first.attributes);
  }
}

TEST(GroupsV3, keep_attributes_and_consolidated_metadata) {
  const Json attributes = Json::parse(R"({"a": [1, "µ"]})", "");
  EXPECT_EQ(parse_group_v3(print_group_v3(attributes), "x").attributes, attributes);
  const GroupV3 group = parse_group_v3(R"({"zarr_format": 3, "node_type": "group",
      "consolidated_metadata": {"kind": "inline", "must_understand": false,
                                "metadata": {"0": {"node_type": "array"}}}})",
                                       "x");
  EXPECT_EQ(group.attributes, Json::object());
  EXPECT_NE(group.consolidated.find("0"), nullptr);
  for (const char* cache : {"null", "3", "{}", R"({"kind": "inline", "metadata": [1]})"})
    EXPECT_TRUE(parse_group_v3(std::string(R"({"zarr_format": 3, "node_type": "group",
        "consolidated_metadata": )") +
                                   cache + "}",
                               "x")
                    .consolidated.is_null())
        << cache;
}

TEST(GroupsV3, are_told_from_arrays) {
  EXPECT_TRUE(is_array_v3(document(), "x"));
  EXPECT_FALSE(is_array_v3(print_group_v3(Json::object()), "x"));
  EXPECT_THROW((void)parse_group_v3(document(), "x"), Error);
  EXPECT_THROW((void)parse_array_v3(print_group_v3(Json::object()), "x"), Error);
  EXPECT_THROW((void)parse_group_v3(R"({"zarr_format": 3, "node_type": "group", "new": {}})", "x"),
               Error);
}

}  // namespace
}  // namespace flatfield::zarr
