#include "flatfield/config/option_table.h"

#include <charconv>
#include <cmath>

namespace flatfield::config {
namespace {

template <class Number>
Number parse_number(const std::string& text, const char* expected) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) throw std::invalid_argument(expected);
  return value;
}

Json parse_list(const std::string& text) {
  Json list = Json::array();
  std::size_t start = 0;
  for (;;) {
    const std::size_t comma = text.find(',', start);
    const std::string part = text.substr(start, comma - start);
    list.push_back(parse_number<std::int64_t>(part, "expected integers separated by commas"));
    if (comma == std::string::npos) return list;
    start = comma + 1;
  }
}

}  // namespace

std::string flag_name(std::string_view key) {
  std::string flag = "--";
  for (const char c : key) flag += c == '_' ? '-' : c;
  return flag;
}

Json parse_argument(OptionKind kind, const std::string& text) {
  switch (kind) {
    case OptionKind::kInteger: return parse_number<std::int64_t>(text, "expected an integer");
    case OptionKind::kNumber: {
      const double value = parse_number<double>(text, "expected a number");
      if (!std::isfinite(value)) throw std::invalid_argument("expected a finite number");
      return value;
    }
    case OptionKind::kIntegerList: return parse_list(text);
    case OptionKind::kFlag:
      if (text == "true" || text == "false") return text == "true";
      throw std::invalid_argument("expected true or false");
    case OptionKind::kText:
    case OptionKind::kLimits: break;
  }
  return text;
}

std::string default_text(const Json& value) {
  if (value.is_null() || value == Json(false)) return "off";
  if (value.is_string()) return value.as_string();
  if (value.is_object()) return "as below";
  return value.dump();
}

}  // namespace flatfield::config
