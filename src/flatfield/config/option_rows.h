#pragma once

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/config/option_table.h"
#include "flatfield/core/extent.h"

namespace flatfield::config {

/// Numbers that an option takes.
struct Range {
  double lo = -std::numeric_limits<double>::infinity();
  double hi = std::numeric_limits<double>::infinity();
  bool open = false;  ///< the bounds themselves are left out
  [[nodiscard]] bool contains(double value) const {
    return open ? value > lo && value < hi : value >= lo && value <= hi;
  }
  /// "0..100", "between 0 and 1" (open), ">= 0", or "" without bounds.
  [[nodiscard]] std::string text() const {
    if (std::isinf(lo) && std::isinf(hi)) return "";
    if (std::isinf(hi)) return fmt::format(">= {}", lo);
    if (open) return fmt::format("between {} and {}", lo, hi);
    return fmt::format("{}..{}", lo, hi);
  }
};

/// The same row, given elsewhere than usual.
template <class Config>
[[nodiscard]] OptionRow<Config> with_use(OptionRow<Config> row, OptionUse use) {
  row.use = use;
  return row;
}

/// The same row of an option whose value does not change the output: places, resources, what is told.
template <class Config>
[[nodiscard]] OptionRow<Config> beside_output(OptionRow<Config> row) {
  row.changes_output = false;
  return row;
}

/// Three integers (z, y, x) in [1, largest]; throws std::invalid_argument.
[[nodiscard]] inline Extent3 parse_extent(const Json& value, std::int64_t largest) {
  const auto refuse = [&] {
    throw std::invalid_argument(fmt::format("expected three integers from 1 to {} (z, y, x)", largest));
  };
  if (!value.is_array() || value.as_array().size() != 3) refuse();
  Extent3 extent;
  for (int axis = 0; axis < 3; ++axis) {
    const Json& length = value.as_array()[static_cast<std::size_t>(axis)];
    if (!length.is_integer() || length.as_double() < 1.0 ||
        length.as_double() > static_cast<double>(largest))
      refuse();
    extent[axis] = length.as_int64();
  }
  return extent;
}

/// The text of a value that is one; throws std::invalid_argument where it holds U+0000, which no file name does: the system
/// would cut it there.
[[nodiscard]] inline const std::string& text_without_nul(const Json& value) {
  const std::string& text = value.as_string();
  if (text.find('\0') != std::string::npos) throw std::invalid_argument("expected a text without U+0000");
  return text;
}

/// Rows for the members of a configuration struct: `member` is a pointer to the member that holds the value.
template <class Config>
struct Rows {
  using Row = OptionRow<Config>;

  static Row flag(std::string key, bool Config::*member, std::string help) {
    return {std::move(key), OptionKind::kFlag, "", std::move(help),
            [member](Config& config, const Json& value) {
              if (!value.is_bool()) throw std::invalid_argument("expected true or false");
              config.*member = value.as_bool();
            },
            [member](const Config& config) { return Json(config.*member); }};
  }

  static Row number(std::string key, double Config::*member, Range range, std::string help) {
    return {std::move(key), OptionKind::kNumber, range.text(), std::move(help),
            [member, range](Config& config, const Json& value) {
              if (!value.is_number() || !range.contains(value.as_double()))
                throw std::invalid_argument("expected a number " + range.text());
              config.*member = value.as_double();
            },
            [member](const Config& config) { return Json(config.*member); }};
  }

  template <class Integer>
  static Row integer(std::string key, Integer Config::*member, Range range, std::string help) {
    return {std::move(key), OptionKind::kInteger, range.text(), std::move(help),
            [member, range](Config& config, const Json& value) {
              if (!value.is_integer() || value.is_big() || !range.contains(value.as_double()))
                throw std::invalid_argument("expected an integer " + range.text());
              config.*member = static_cast<Integer>(value.as_int64());
            },
            [member](const Config& config) { return Json(config.*member); }};
  }

  static Row extent(std::string key, Extent3 Config::*member, std::int64_t largest, std::string help) {
    return {std::move(key), OptionKind::kIntegerList, "Z,Y,X", std::move(help),
            [member, largest](Config& config, const Json& value) {
              config.*member = parse_extent(value, largest);
            },
            [member](const Config& config) {
              const Extent3& extent = config.*member;
              return Json(Json::Array{extent.z, extent.y, extent.x});
            }};
  }

  static Row text(std::string key, std::string Config::*member, std::string values, std::string help) {
    return {std::move(key), OptionKind::kText, std::move(values), std::move(help),
            [member](Config& config, const Json& value) {
              if (!value.is_null() && !value.is_string())
                throw std::invalid_argument("expected a text");
              config.*member = value.is_null() ? "" : text_without_nul(value);
            },
            [member](const Config& config) {
              return (config.*member).empty() ? Json() : Json(config.*member);
            }};
  }

  static Row choice(std::string key, std::string Config::*member, std::vector<std::string> choices,
                    std::string help) {
    std::string listed;
    for (const std::string& choice : choices) listed += (listed.empty() ? "" : ", ") + choice;
    return {std::move(key), OptionKind::kText, listed, std::move(help),
            [member, choices, listed](Config& config, const Json& value) {
              for (const std::string& choice : choices)
                if (value.is_string() && value.as_string() == choice) {
                  config.*member = choice;
                  return;
                }
              throw std::invalid_argument("expected one of " + listed);
            },
            [member](const Config& config) { return Json(config.*member); }};
  }
};

}  // namespace flatfield::config
