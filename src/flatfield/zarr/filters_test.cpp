#include "flatfield/zarr/filters.h"

#include <gtest/gtest.h>

#include <cstring>

#include "flatfield/core/error.h"

namespace flatfield::zarr {
namespace {

// That the filters decode as those of numcodecs is tested with numcodecs' own vectors
// (tests/python/test_conformance.py).

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

template <class To, class From>
std::vector<To> decode(const Filter& filter, const std::vector<From>& encoded) {
  std::vector<To> decoded(encoded.size() * sizeof(From) / size_of(filter.encoded.dtype));
  find_filter(filter.id)->decode(filter, bytes_of(encoded),
                                 std::as_writable_bytes(std::span(decoded)));
  return decoded;
}

Filter parse(const char* text, StoredType type = {DType::kUint16, ByteOrder::kLittle}) {
  return parse_filter(Json::parse(text, ""), type, "here", "filters[0]");
}

TEST(Filters, delta_adds_up_in_the_arithmetic_of_the_element) {
  EXPECT_EQ((decode<std::uint16_t>(parse(R"({"id": "delta"})"),
                                   std::vector<std::uint16_t>{10, 5, 65530, 0})),
            (std::vector<std::uint16_t>{10, 15, 9, 9}));
  EXPECT_EQ((decode<std::uint16_t>(parse(R"({"id": "delta", "dtype": "<u2", "astype": "<i4"})"),
                                   std::vector<std::int32_t>{70000, -1, -1})),
            (std::vector<std::uint16_t>{4464, 4463, 4462}));
  // 2^24 + 1 is no float: each sum is rounded.
  EXPECT_EQ((decode<float>(parse(R"({"id": "delta", "dtype": "<f4"})"),
                           std::vector<float>{16777216.F, 1.F, 1.F})),
            (std::vector<float>(3, 16777216.F)));
}

TEST(Filters, elements_have_the_byte_order_of_their_type) {
  EXPECT_EQ((decode<std::uint16_t>(
                parse(R"({"id": "delta", "dtype": ">u2"})", {DType::kUint16, ByteOrder::kBig}),
                std::vector<std::uint16_t>{0x0100, 0x0200})),
            (std::vector<std::uint16_t>{0x0100, 0x0300}));
}

TEST(Filters, fixed_scale_and_offset_are_undone) {
  EXPECT_EQ((decode<double>(parse(R"({"id": "fixedscaleoffset", "scale": 10, "offset": 1000,
                                      "dtype": "<f8", "astype": "|i1"})"),
                            std::vector<std::int8_t>{0, 5, -128})),
            (std::vector<double>{1000.0, 1000.5, 987.2}));
  EXPECT_EQ((decode<std::uint16_t>(parse(R"({"id": "fixedscaleoffset", "scale": 0.5, "offset": 1,
                                             "dtype": "<u2", "astype": "|u1"})"),
                                   std::vector<std::uint8_t>{0, 255})),
            (std::vector<std::uint16_t>{1, 511}));
}

TEST(Filters, whole_numbers_become_floats_in_one_rounding) {
  // 2^60 + 2^36 + 1: a double of it is 2^60 + 2^36, in the middle between two floats.
  constexpr std::int64_t kValue = (std::int64_t{1} << 60) + (std::int64_t{1} << 36) + 1;
  const std::vector<float> expected{static_cast<float>(kValue), -static_cast<float>(kValue)};
  ASSERT_NE(expected[0], static_cast<float>(static_cast<double>(kValue)));
  EXPECT_EQ((decode<float>(parse(R"({"id": "astype", "encode_dtype": "<i8", "decode_dtype": "<f4"})"),
                           std::vector<std::int64_t>{kValue, -kValue})),
            expected);
  EXPECT_EQ((decode<float>(parse(R"({"id": "astype", "encode_dtype": "<u8", "decode_dtype": "<f4"})"),
                           std::vector<std::uint64_t>{kValue, ~std::uint64_t{0}})),
            (std::vector<float>{expected[0], 18446744073709551616.0F}));
}

TEST(Filters, shuffle_brings_the_bytes_of_an_element_together) {
  EXPECT_EQ((decode<std::uint8_t>(parse(R"({"id": "shuffle", "elementsize": 3})",
                                        {DType::kUint8, ByteOrder::kLittle}),
                                  std::vector<std::uint8_t>{1, 4, 2, 5, 3, 6})),
            (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Filters, blocks_of_elements_join) {
  std::vector<std::uint16_t> ones(5000, 1);
  const auto sums = decode<std::uint16_t>(parse(R"({"id": "delta"})"), ones);
  for (std::size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(sums[i], i + 1);
}

TEST(Filters, that_compute_refuse_complex_elements_even_if_they_name_no_type) {
  for (const char* text : {R"({"id": "delta"})", R"({"id": "astype"})", R"({"id": "quantize"})",
                           R"({"id": "fixedscaleoffset", "scale": 1, "offset": 0})"})
    for (const DType dtype : {DType::kComplex64, DType::kComplex128}) {
      try {
        (void)parse(text, {dtype, ByteOrder::kLittle});
        ADD_FAILURE() << text;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
        EXPECT_NE(error.message().find(name_of(dtype)), std::string::npos) << error.what();
      }
    }
  // What only moves bytes does not look at them.
  (void)parse(R"({"id": "bitround"})", {DType::kComplex128, ByteOrder::kLittle});
  (void)parse(R"({"id": "shuffle"})", {DType::kComplex128, ByteOrder::kLittle});
}

TEST(FilteredBytes, follow_the_size_of_the_elements) {
  const Filter astype = parse(R"({"id": "astype", "decode_dtype": "<f8", "encode_dtype": "<f4"})");
  EXPECT_EQ(filtered_bytes(astype, 80), 40U);
  EXPECT_EQ(filtered_bytes(astype, 81), std::nullopt);
  const Filter shuffle = parse(R"({"id": "shuffle", "elementsize": 4})");
  EXPECT_EQ(filtered_bytes(shuffle, 8), 8U);
  EXPECT_EQ(filtered_bytes(shuffle, 6), std::nullopt);
}

}  // namespace
}  // namespace flatfield::zarr
