#include "flatfield/zarr/metadata_v2.h"

#include <gtest/gtest.h>

namespace flatfield::zarr {
namespace {

/// A valid document with some members replaced; an empty text removes the member.
std::string document(const std::vector<std::pair<std::string, std::string>>& changes = {}) {
  Json json = Json::parse(R"({"zarr_format": 2, "shape": [10, 20], "chunks": [4, 5],
      "dtype": "<u2", "fill_value": 7, "order": "C", "filters": null,
      "compressor": {"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": 2, "blocksize": 0},
      "dimension_separator": "/"})",
                          "test");
  for (const auto& [key, text] : changes) {
    if (text.empty())
      json.erase(key);
    else
      json[key] = Json::parse(text, key);
  }
  return json.dump();
}

ArrayMetadata parse(const std::vector<std::pair<std::string, std::string>>& changes = {}) {
  return parse_array_v2(document(changes), "/data/a/.zarray");
}

/// Code and message of the refusal of a document with one member replaced.
std::pair<ErrorCode, std::string> refusal(const std::string& key, const std::string& text) {
  try {
    (void)parse({{key, text}});
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "/data/a/.zarray");
    return {error.code(), error.message()};
  }
  ADD_FAILURE() << key << " " << text << " was accepted";
  return {};
}

TEST(ParseArrayV2, reads_every_member) {
  const ArrayMetadata metadata = parse();
  EXPECT_EQ(metadata.zarr_format, 2);
  EXPECT_EQ(metadata.shape, (std::vector<std::int64_t>{10, 20}));
  EXPECT_EQ(metadata.chunk_shape, (std::vector<std::int64_t>{4, 5}));
  EXPECT_EQ(metadata.dtype, DType::kUint16);
  EXPECT_EQ(metadata.codecs.byte_order, ByteOrder::kLittle);
  EXPECT_TRUE(metadata.codecs.order.empty());
  EXPECT_EQ(metadata.fill_value, (std::vector<std::byte>{std::byte{7}, std::byte{0}}));
  EXPECT_FALSE(metadata.fill_value_is_null);
  EXPECT_EQ(metadata.separator, '/');
  const Compressor blosc{"blosc", 3, "zstd", 2, 0};
  EXPECT_EQ(metadata.codecs.compressors, std::vector<Compressor>{blosc});
}

TEST(ParseArrayV2, the_separator_is_a_dot_if_none_is_given) {
  EXPECT_EQ(parse({{"dimension_separator", ""}}).separator, '.');
}

TEST(ParseArrayV2, a_null_fill_value_is_zero_and_remembered) {
  for (const char* text : {"null", ""}) {
    const ArrayMetadata metadata = parse({{"fill_value", text}});
    EXPECT_TRUE(metadata.fill_value_is_null);
    EXPECT_EQ(metadata.fill_value, std::vector<std::byte>(2));
  }
}

TEST(ParseArrayV2, ignores_unknown_keys_as_the_specification_asks) {
  EXPECT_NO_THROW((void)parse({{"my_key", "[1]"}}));
  const auto metadata = parse(
      {{"compressor", R"({"id":"blosc","cname":"lz4","clevel":5,"shuffle":1,"typesize":2})"}});
  EXPECT_EQ(metadata.codecs.compressors.front().level, 5);
}

TEST(ParseArrayV2, resolves_automatic_shuffle_by_the_size_of_the_elements) {
  const std::string blosc = R"({"id": "blosc", "shuffle": -1})";
  EXPECT_EQ(parse({{"compressor", blosc}}).codecs.compressors[0].blosc_shuffle, 1);
  EXPECT_EQ(
      parse({{"compressor", blosc}, {"dtype", "\"|u1\""}}).codecs.compressors[0].blosc_shuffle, 2);
}

TEST(ParseArrayV2, an_empty_list_of_filters_is_none) {
  EXPECT_NO_THROW((void)parse({{"filters", "[]"}}));
  EXPECT_NO_THROW((void)parse({{"filters", ""}}));
}

TEST(ParseArrayV2, each_filter_takes_what_the_one_before_it_gives) {
  const auto filters = parse({{"filters", R"([{"id": "delta", "dtype": "<u2", "astype": "<i4"},
                                              {"id": "shuffle", "elementsize": 4}])"}})
                           .codecs.filters;
  ASSERT_EQ(filters.size(), 2U);
  EXPECT_EQ(filters[0].decoded, (StoredType{DType::kUint16, ByteOrder::kLittle}));
  EXPECT_EQ(filters[0].encoded, (StoredType{DType::kInt32, ByteOrder::kLittle}));
  EXPECT_EQ(filters[1].decoded, filters[0].encoded);
  EXPECT_EQ(filters[1].stride, 4U);
}

TEST(ParseArrayV2, a_compressor_may_stand_among_the_filters) {
  const auto codecs =
      parse({{"filters", R"([{"id": "bitround", "keepbits": 3}, {"id": "crc32c"}])"},
             {"compressor", R"({"id": "zlib"})"}})
          .codecs;
  EXPECT_EQ(codecs.filters.size(), 1U);
  EXPECT_EQ(codecs.compressors, (std::vector<Compressor>{{"crc32c"}, {"zlib"}}));
}

TEST(ParseArrayV2, compressors_have_the_defaults_of_numcodecs) {
  EXPECT_TRUE(parse({{"compressor", "null"}}).codecs.compressors.empty());
  const auto only = [](const char* text) {
    return parse({{"compressor", text}}).codecs.compressors.at(0);
  };
  EXPECT_EQ(only(R"({"id": "blosc"})"), (Compressor{"blosc", 5, "lz4", 1, 0}));
  EXPECT_EQ(only(R"({"id": "zstd", "level": -7, "checksum": true})").level, -7);
  EXPECT_EQ(only(R"({"id": "lz4"})").level, 1);
  EXPECT_EQ(only(R"({"id": "bz2", "level": 9})").level, 9);
}

TEST(ParseArrayV2, reads_every_element_type_in_both_byte_orders) {
  for (const char* code :
       {"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"}) {
    for (const char order : {'<', '>'}) {
      const auto metadata = parse({{"dtype", std::string("\"") + order + code + "\""},
                                   {"fill_value", code[0] == 'b' ? "false" : "0"}});
      EXPECT_EQ(info(metadata.dtype).v2_code, code);
      EXPECT_EQ(metadata.codecs.byte_order, order == '<' ? ByteOrder::kLittle : ByteOrder::kBig);
    }
  }
}

TEST(ParseArrayV2, refuses_features_it_does_not_read_by_their_name) {
  const auto expect_unsupported = [](const char* key, const char* text, const char* name) {
    const auto [code, message] = refusal(key, text);
    EXPECT_EQ(code, ErrorCode::kUnsupported) << message;
    EXPECT_NE(message.find(name), std::string::npos) << message;
  };
  expect_unsupported("zarr_format", "3", "zarr_format 3");
  expect_unsupported("dtype", R"([["x", "<f4"], ["y", "<i2"]])", "structured");
  expect_unsupported("dtype", "\"<U13\"", "<U13");
  expect_unsupported("dtype", "\"|O\"", "|O");
  expect_unsupported("dtype", "\"<M8[ns]\"", "<M8[ns]");
  expect_unsupported("compressor", R"({"id": "zfpy", "mode": 4})", "zfpy");
  expect_unsupported("compressor", R"({"id": "lzma", "format": 3})", "lzma");
  expect_unsupported("compressor", R"({"id": "crc32", "location": "end"})", "crc32");
  expect_unsupported("filters", R"([{"id": "vlen-utf8"}])", "vlen-utf8");
  expect_unsupported("filters", R"([{"id": "zlib"}, {"id": "shuffle"}])", "shuffle");
  expect_unsupported("filters", R"([{"id": "delta", "dtype": "<c8"}])", "complex64");
  expect_unsupported("filters", R"([{"id": "delta", "dtype": "<f4", "astype": "<i2"}])", "delta");
  expect_unsupported("chunks", "[100000, 100000]", "2 GiB");
}

TEST(ParseArrayV2, refuses_what_is_not_valid) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"zarr_format", ""},
      {"zarr_format", "\"2\""},
      {"shape", ""},
      {"shape", "[10, -20]"},
      {"shape", "[10]"},
      {"shape", "[10.5, 20]"},
      {"shape", "10"},
      {"shape", "[9223372036854775807, 9223372036854775807]"},
      {"chunks", "[0, 5]"},
      {"chunks", "[4, -5]"},
      {"chunks", "false"},
      {"dtype", "\"u2\""},
      {"dtype", "\"\""},
      {"dtype", "\"=u2\""},
      {"dtype", "\"|u2\""},
      {"dtype", "2"},
      {"fill_value", "65536"},
      {"fill_value", "\"NaN\""},
      {"order", "\"A\""},
      {"order", ""},
      {"order", "\"CC\""},
      {"dimension_separator", "\"-\""},
      {"dimension_separator", "1"},
      {"filters", "{}"},
      {"filters", "[1]"},
      {"filters", "[{}]"},
      {"filters", R"([{"id": "delta", "dtype": "u2"}])"},
      {"filters", R"([{"id": "shuffle", "elementsize": -1}])"},
      {"filters", R"([{"id": "fixedscaleoffset", "scale": 0, "offset": 1}])"},
      {"filters", R"([{"id": "fixedscaleoffset", "scale": 1}])"},
      {"compressor", ""},
      {"compressor", "\"blosc\""},
      {"compressor", "{}"},
      {"compressor", R"({"id": 1})"},
      {"compressor", R"({"id": "zstd", "level": "high"})"},
      {"compressor", R"({"id": "blosc", "cname": 1})"},
  };
  for (const auto& [key, text] : cases) {
    const auto [code, message] = refusal(key, text);
    EXPECT_EQ(code, ErrorCode::kBadInput) << key << " " << text << ": " << message;
  }
}

TEST(ParseArrayV2, every_beginning_of_a_document_is_refused) {
  const std::string text = document();
  for (std::size_t n = 0; n < text.size(); ++n)
    EXPECT_THROW((void)parse_array_v2(text.substr(0, n), "x"), Error) << n;
}

TEST(PrintArrayV2, prints_what_zarr_python_prints) {
  EXPECT_EQ(print_array_v2(parse()), R"({
    "chunks": [
        4,
        5
    ],
    "compressor": {
        "blocksize": 0,
        "clevel": 3,
        "cname": "zstd",
        "id": "blosc",
        "shuffle": 2
    },
    "dimension_separator": "/",
    "dtype": "<u2",
    "fill_value": 7,
    "filters": null,
    "order": "C",
    "shape": [
        10,
        20
    ],
    "zarr_format": 2
})");
}

TEST(PrintArrayV2, what_is_printed_reads_back_as_the_same) {
  for (const char* compressor :
       {"null", R"({"id": "lz4", "acceleration": 3})", R"({"id": "zstd", "level": 2})",
        R"({"id": "gzip", "level": 1})", R"({"id": "zlib", "level": 4})",
        R"({"id": "bz2", "level": 5})", R"({"id": "blosc", "shuffle": 0, "blocksize": 4096})"}) {
    const ArrayMetadata first = parse({{"compressor", compressor},
                                       {"dtype", "\">f4\""},
                                       {"fill_value", "\"NaN\""},
                                       {"order", "\"F\""},
                                       {"dimension_separator", "\".\""}});
    const ArrayMetadata second = parse_array_v2(print_array_v2(first), "printed");
    EXPECT_EQ(second.shape, first.shape);
    EXPECT_EQ(second.chunk_shape, first.chunk_shape);
    EXPECT_EQ(second.dtype, first.dtype);
    EXPECT_EQ(second.codecs.byte_order, ByteOrder::kBig);
    EXPECT_EQ(second.codecs.order, (std::vector<int>{1, 0}));
    EXPECT_EQ(second.fill_value, first.fill_value);
    EXPECT_EQ(second.separator, '.');
    EXPECT_EQ(second.codecs.compressors, first.codecs.compressors);
  }
  const ArrayMetadata null_fill = parse({{"fill_value", "null"}});
  EXPECT_TRUE(parse_array_v2(print_array_v2(null_fill), "printed").fill_value_is_null);
}

TEST(AttributesV2, must_be_an_object) {
  EXPECT_EQ(parse_attributes_v2(R"({"a": 1})", "x").find("a")->as_int64(), 1);
  EXPECT_THROW((void)parse_attributes_v2("[1]", "x"), Error);
  EXPECT_THROW((void)parse_attributes_v2("", "x"), Error);
}

}  // namespace
}  // namespace flatfield::zarr
