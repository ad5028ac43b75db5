#include "flatfield/core/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield {
namespace {

/// The text of the error that parsing `text` gives; empty if it gives none.
std::string parse_error(std::string_view text) {
  try {
    (void)Json::parse(text, "file.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_EQ(error.where(), "file.json");
    return error.message();
  }
  return "";
}

TEST(JsonParse, reads_every_type) {
  const Json value = Json::parse(R"({"n": null, "b": true, "i": -3, "d": 2.5, "s": "x",
                                     "a": [1, [2], {}], "o": {"k": 0}})",
                                 "");
  EXPECT_TRUE(value.find("n")->is_null());
  EXPECT_TRUE(value.find("b")->as_bool());
  EXPECT_EQ(value.find("i")->as_int64(), -3);
  EXPECT_EQ(value.find("d")->as_double(), 2.5);
  EXPECT_EQ(value.find("s")->as_string(), "x");
  EXPECT_EQ(value.find("a")->as_array().size(), 3U);
  EXPECT_EQ(value.find("a")->as_array()[1].as_array()[0].as_int64(), 2);
  EXPECT_EQ(value.find("o")->find("k")->as_int64(), 0);
  EXPECT_EQ(value.find("absent"), nullptr);
}

TEST(JsonParse, tells_integers_from_numbers) {
  EXPECT_TRUE(Json::parse("3", "").is_integer());
  EXPECT_FALSE(Json::parse("3.0", "").is_integer());
  EXPECT_TRUE(Json::parse("3.0", "").is_number());
  EXPECT_EQ(Json::parse("18446744073709551615", "").as_uint64(), UINT64_MAX);
  EXPECT_EQ(Json::parse("-9223372036854775808", "").as_int64(), INT64_MIN);
  EXPECT_TRUE(Json::parse("9223372036854775807", "").is_integer());
  EXPECT_FALSE(Json::parse("9223372036854775807", "").is_big());
}

TEST(JsonParse, says_where_the_text_stops_being_json) {
  EXPECT_NE(parse_error("{\"a\": 1,}").find("byte 9"), std::string::npos)
      << parse_error("{\"a\": 1,}");
  for (const char* text : {"", "{", "[1 2]", "{} x", "nul", "{\"a\" 1}", "\"\x01\"", "\"\xFF\"",
                           "1e999", "NaN", "{'a': 1}"})
    EXPECT_NE(parse_error(text), "") << text;
}

TEST(JsonParse, refuses_a_key_that_occurs_twice) {
  EXPECT_EQ(parse_error(R"({"a": 1, "b": 2, "a": 3})"), "the key \"a\" occurs twice");
  EXPECT_EQ(parse_error(R"({"a": {"b": {}}, "a": 3})"), "the key \"a\" occurs twice");
  EXPECT_EQ(parse_error(R"([{"a": {"a": 1}}, {"a": 2}])"), "");
}

TEST(JsonParse, names_what_other_programs_write_as_json_and_is_none) {
  for (const std::string value : {"NaN", "Infinity", "-Infinity"})
    for (const std::string& text : {value, "[1, " + value + "]", "{\"a\": " + value + "}"})
      EXPECT_TRUE(parse_error(text).ends_with("): NaN and Infinity are not JSON")) << text << ": " << parse_error(text);
  EXPECT_EQ(parse_error("{\"a\": NaN}"), "not valid JSON (byte 7): NaN and Infinity are not JSON");
  for (const char* text : {"", "[", "-", "[Nan]", "[1, x]"})
    EXPECT_EQ(parse_error(text).find("Infinity"), std::string::npos) << text;
}

TEST(JsonParse, knows_the_keys_of_few_and_of_very_many_members) {
  const auto members = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":" + std::to_string(i);
    return text;
  };
  for (const int count : {1, 15, 16, 17, 18, 40, 200000}) {
    const std::string text = "{" + members(count) + "}";
    EXPECT_TRUE(Json::parse(text, "").dump() == text) << count;
    for (const int again : {0, count / 2, count - 1}) {
      const std::string key = "k" + std::to_string(again);
      EXPECT_EQ(parse_error("{" + members(count) + ",\"" + key + "\":0}"), "the key \"" + key + "\" occurs twice") << count;
    }
    const std::string within = "{" + members(count) + ",\"more\":" + text + "}";
    EXPECT_EQ(parse_error("[" + within + "," + text + "]"), "") << "keys of other objects";
  }
}

TEST(JsonParse, refuses_nesting_that_is_too_deep) {
  EXPECT_EQ(parse_error(std::string(128, '[') + std::string(128, ']')), "");
  EXPECT_EQ(parse_error(std::string(129, '[') + std::string(129, ']')), "nested too deeply");
  EXPECT_EQ(parse_error(std::string(100000, '[')), "nested too deeply");
}

TEST(JsonDump, keeps_the_order_of_the_keys) {
  const std::string text = R"({"z":1,"a":[true,null,"x"],"m":{"q":-2.5}})";
  EXPECT_EQ(Json::parse(text, "").dump(), text);
  Json value;
  value["second"] = 2;
  value["first"] = 1;
  EXPECT_EQ(value.dump(), R"({"second":2,"first":1})");
  EXPECT_EQ(value.dump(2), "{\n  \"second\": 2,\n  \"first\": 1\n}");
}

TEST(JsonDump, round_trips_numbers_exactly) {
  for (const double number : {0.1, 1.0 / 3, 1e-300, 1.7976931348623157e308, 5e-324, -0.75})
    EXPECT_EQ(Json::parse(Json(number).dump(), "").as_double(), number);
  EXPECT_EQ(Json(3.0).dump(), "3.0");
  EXPECT_EQ(Json(std::uint64_t{UINT64_MAX}).dump(), "18446744073709551615");
}

TEST(JsonDump, prints_what_json_cannot_hold_as_null) {
  EXPECT_EQ(Json(std::nan("")).dump(), "null");
  EXPECT_EQ(Json(std::numeric_limits<double>::infinity()).dump(), "null");
}

TEST(JsonDump, escapes_text_and_survives_bytes_that_are_not_utf8) {
  EXPECT_EQ(Json("a\"\n").dump(), R"("a\"\n")");
  EXPECT_EQ(Json("\xC3\xA9").dump(), R"("\u00e9")");
  EXPECT_EQ(Json("\xFF").dump(), R"("\ufffd")");
}

TEST(JsonValue, holds_what_it_was_made_of) {
  EXPECT_EQ(Json(7).type_name(), "integer");
  EXPECT_EQ(Json(7U), Json(std::uint64_t{7}));
  EXPECT_TRUE(Json(UINT64_MAX).is_big());
  EXPECT_EQ(Json("text").as_string(), "text");
  EXPECT_EQ(Json(std::vector<int>{1, 2}).dump(), "[1,2]");
  EXPECT_EQ(Json(std::vector<std::string>{"a"}).dump(), "[\"a\"]");
  EXPECT_EQ(Json().type_name(), "null");
  EXPECT_EQ(Json(true).type_name(), "boolean");
  EXPECT_EQ(Json(1.5).type_name(), "number");
  EXPECT_EQ(Json::array().type_name(), "array");
  EXPECT_EQ(Json::object().type_name(), "object");
}

TEST(JsonValue, becomes_an_object_or_an_array_when_it_was_null) {
  Json object;
  object["a"]["b"] = 1;
  EXPECT_EQ(object.dump(), R"({"a":{"b":1}})");
  object.erase("a");
  object.erase("absent");
  EXPECT_EQ(object.dump(), "{}");
  Json array;
  array.push_back(1);
  array.push_back("x");
  EXPECT_EQ(array.dump(), R"([1,"x"])");
}

TEST(JsonValue, used_as_another_type_is_an_error) {
  EXPECT_THROW((void)Json("x").as_int64(), Error);
  EXPECT_THROW((void)Json(1).as_string(), Error);
  EXPECT_THROW((void)Json(1.5).as_int64(), Error);
  EXPECT_THROW((void)Json(1).as_bool(), Error);
  EXPECT_THROW((void)Json().as_array(), Error);
  EXPECT_THROW((void)Json::array().as_object(), Error);
  EXPECT_THROW((void)Json(UINT64_MAX).as_int64(), Error);
  EXPECT_THROW((void)Json(-1).as_uint64(), Error);
  EXPECT_EQ(Json(2).as_double(), 2.0);
  EXPECT_EQ(Json(UINT64_MAX).as_double(), 18446744073709551616.0);
}

}  // namespace
}  // namespace flatfield
