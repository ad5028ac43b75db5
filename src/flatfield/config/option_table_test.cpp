#include "flatfield/config/option_table.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "flatfield/config/option_rows.h"

namespace flatfield::config {
namespace {

struct Example {
  bool flag = false;
  std::int64_t integer = 3;
  double number = 0.5;
  std::string text;
  std::string choice = "a";
  Extent3 extent{1, 2, 3};
};

const OptionTable<Example>& example_table() {
  using ExampleRows = Rows<Example>;
  static const OptionTable<Example> table{
      ExampleRows::flag("some_flag", &Example::flag, "A flag."),
      ExampleRows::integer("some_integer", &Example::integer, {0}, "An integer."),
      ExampleRows::number("some_number", &Example::number, {-1, 1}, "A number."),
      ExampleRows::text("some_text", &Example::text, "text", "A text."),
      ExampleRows::choice("some_choice", &Example::choice, {"a", "b"}, "A choice."),
      ExampleRows::extent("some_extent", &Example::extent, 10, "An extent."),
  };
  return table;
}

Example read(const std::string& text) {
  Example example;
  read_object(example_table(), Json::parse(text, "test"), "config.json", example);
  return example;
}

std::string refusal(const std::string& text) {
  try {
    (void)read(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage) << error.what();
    EXPECT_EQ(error.where().rfind("config.json", 0), 0U) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown for " << text;
  return "";
}

/// The reason why the text of an argument is refused.
std::string argument_refusal(OptionKind kind, const std::string& text) {
  try {
    (void)parse_argument(kind, text);
  } catch (const std::invalid_argument& reason) {
    return reason.what();
  }
  ADD_FAILURE() << "no error was thrown for " << text;
  return "";
}

TEST(OptionTable, stores_values_of_every_kind) {
  const Example e =
      read(R"({"some_flag": true, "some_integer": 7, "some_number": -1, "some_text": "x y",
                             "some_choice": "b", "some_extent": [10, 1, 4]})");
  EXPECT_TRUE(e.flag);
  EXPECT_EQ(e.integer, 7);
  EXPECT_EQ(e.number, -1.0);
  EXPECT_EQ(e.text, "x y");
  EXPECT_EQ(e.choice, "b");
  EXPECT_EQ(e.extent, (Extent3{10, 1, 4}));
}

TEST(OptionTable, leaves_the_default_of_what_is_not_given) {
  const Example e = read("{}");
  EXPECT_EQ(e.integer, 3);
  EXPECT_EQ(e.choice, "a");
  EXPECT_EQ(read(R"({"some_text": null})").text, "");
}

TEST(OptionTable, refuses_values_of_the_wrong_type_or_range_and_names_the_key) {
  struct Case {
    std::string object;
    std::string message;
  };
  const std::vector<Case> cases{
      {R"({"some_flag": 1})", "some_flag: expected true or false, found 1"},
      {R"({"some_flag": "true"})", "some_flag: expected true or false"},
      {R"({"some_flag": null})", "some_flag: expected true or false"},
      {R"({"some_integer": 1.5})", "some_integer: expected an integer >= 0, found 1.5"},
      {R"({"some_integer": 1.0})", "some_integer: expected an integer"},
      {R"({"some_integer": "1"})", "some_integer: expected an integer"},
      {R"({"some_integer": -1})", "some_integer: expected an integer >= 0, found -1"},
      {R"({"some_integer": 18446744073709551615})", "some_integer: expected an integer"},
      {R"({"some_integer": true})", "some_integer: expected an integer"},
      {R"({"some_number": 1.01})", "some_number: expected a number -1..1, found 1.01"},
      {R"({"some_number": -2})", "some_number: expected a number -1..1"},
      {R"({"some_number": "0"})", "some_number: expected a number"},
      {R"({"some_number": null})", "some_number: expected a number"},
      {R"({"some_text": 3})", "some_text: expected a text, found 3"},
      {R"({"some_text": ["x"]})", "some_text: expected a text"},
      {R"({"some_choice": "c"})", R"(some_choice: expected one of a, b, found "c")"},
      {R"({"some_choice": "A"})", "some_choice: expected one of a, b"},
      {R"({"some_choice": 1})", "some_choice: expected one of a, b"},
      {R"({"some_extent": [1, 2]})", "some_extent: expected three integers from 1 to 10"},
      {R"({"some_extent": [1, 2, 11]})", "some_extent: expected three integers"},
      {R"({"some_extent": [1, 0, 3]})", "some_extent: expected three integers"},
      {R"({"some_extent": [1, 2.0, 3]})", "some_extent: expected three integers"},
      {R"({"some_extent": [1, 2, 18446744073709551615]})", "some_extent: expected three integers"},
      {R"({"some_extent": "1,2,3"})", "some_extent: expected three integers"},
      {"[]", "config.json"},
  };
  for (const Case& c : cases) {
    const std::string message = refusal(c.object);
    EXPECT_NE(message.find(c.message), std::string::npos) << c.object << "\n  gives " << message;
  }
}

TEST(OptionTable, names_the_nearest_key_for_an_unknown_one) {
  EXPECT_NE(refusal(R"({"some_integr": 1})").find("some_integer"), std::string::npos);
  const std::string far = refusal(R"({"quite_different": 1})");
  EXPECT_NE(far.find("quite_different"), std::string::npos);
  EXPECT_EQ(far.find("some_"), std::string::npos) << far;
}

TEST(OptionTable, gives_back_what_it_read) {
  const Json object =
      Json::parse(R"({"some_flag": true, "some_integer": 9007199254740993, "some_number": 0.1,
                                      "some_text": null, "some_choice": "b", "some_extent": [3, 2, 1]})",
                  "test");
  Example example;
  read_object(example_table(), object, "test", example);
  EXPECT_EQ(to_json(example_table(), example), object);
}

TEST(OptionTable, does_not_print_hidden_rows) {
  OptionTable<Example> table = example_table();
  table.front().use = OptionUse::kHidden;
  const Json object = to_json(table, Example{});
  EXPECT_EQ(object.find("some_flag"), nullptr);
  EXPECT_EQ(object.as_object().size(), table.size() - 1);
}

TEST(OptionTable, names_the_flag_in_errors_of_the_command_line) {
  Example example;
  try {
    set_option(example_table()[1], Json(-5), "--some-integer", "", example);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "--some-integer: expected an integer >= 0, found -5");
  }
}

TEST(FlagName, has_dashes_for_underscores) {
  EXPECT_EQ(flag_name("n_levels_of_x"), "--n-levels-of-x");
}

TEST(ParsedArgument, is_the_value_that_a_file_would_hold) {
  EXPECT_EQ(parse_argument(OptionKind::kInteger, "42"), Json(42));
  EXPECT_EQ(parse_argument(OptionKind::kInteger, "-42"), Json(-42));
  EXPECT_EQ(parse_argument(OptionKind::kNumber, "42"), Json(42.0));
  EXPECT_EQ(parse_argument(OptionKind::kNumber, "-1e-3"), Json(-0.001));
  EXPECT_EQ(parse_argument(OptionKind::kText, "42"), Json("42"));
  EXPECT_EQ(parse_argument(OptionKind::kText, ""), Json(""));
  EXPECT_EQ(parse_argument(OptionKind::kFlag, "true"), Json(true));
  EXPECT_EQ(parse_argument(OptionKind::kFlag, "false"), Json(false));
  EXPECT_EQ(parse_argument(OptionKind::kIntegerList, "1,-2,3"), Json(Json::Array{1, -2, 3}));
  EXPECT_EQ(parse_argument(OptionKind::kIntegerList, "7"), Json(Json::Array{7}));
}

TEST(ParsedArgument, is_refused_if_it_is_of_another_kind) {
  for (const std::string text :
       {"", " 1", "1 ", "1.0", "x", "1x", "+1", "0x10", "99999999999999999999"})
    EXPECT_EQ(argument_refusal(OptionKind::kInteger, text), "expected an integer") << text;
  for (const std::string text : {"", " 1", "1 ", "1,5", "x", "1e999"})
    EXPECT_EQ(argument_refusal(OptionKind::kNumber, text), "expected a number") << text;
  for (const std::string text : {"nan", "inf", "-inf"})
    EXPECT_EQ(argument_refusal(OptionKind::kNumber, text), "expected a finite number") << text;
  for (const std::string text : {"", ",", "1,", ",1", "1,,2", "1, 2", "1;2", "1.5,2,3"})
    EXPECT_EQ(argument_refusal(OptionKind::kIntegerList, text),
              "expected integers separated by commas")
        << text;
  for (const std::string text : {"", "yes", "1", "True"})
    EXPECT_EQ(argument_refusal(OptionKind::kFlag, text), "expected true or false") << text;
}

TEST(DefaultText, is_what_people_read) {
  EXPECT_EQ(default_text(Json()), "off");
  EXPECT_EQ(default_text(Json(false)), "off");
  EXPECT_EQ(default_text(Json(true)), "true");
  EXPECT_EQ(default_text(Json(3)), "3");
  EXPECT_EQ(default_text(Json("./results")), "./results");
}

TEST(RangeText, tells_both_ends) {
  EXPECT_EQ(Range{}.text(), "");
  EXPECT_EQ((Range{0}).text(), ">= 0");
  EXPECT_EQ((Range{0, 100}).text(), "0..100");
  EXPECT_TRUE((Range{0, 1}).contains(0.0));
  EXPECT_TRUE((Range{0, 1}).contains(1.0));
  EXPECT_FALSE((Range{0, 1}).contains(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_EQ((Range{0, 0.5, true}).text(), "between 0 and 0.5");
  EXPECT_TRUE((Range{0, 0.5, true}).contains(0.25));
  EXPECT_FALSE((Range{0, 0.5, true}).contains(0.0));
  EXPECT_FALSE((Range{0, 0.5, true}).contains(0.5));
}

}  // namespace
}  // namespace flatfield::config
