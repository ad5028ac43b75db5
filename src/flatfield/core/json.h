#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace flatfield {

/// A JSON value. Objects keep the order in which their keys were added, so that what is
/// written is the same every time. Parsing and printing are nlohmann-json's (json.cpp is the
/// only file that includes it: its header is slow to compile).
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  ///< null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(double value) : value_(value) {}
  template <class Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
  Json(Integer value) {
    // Only what an int64 cannot hold is kept as uint64, so that equal numbers compare equal.
    if constexpr (std::is_unsigned_v<Integer> && sizeof(Integer) == 8) {
      if (value > static_cast<std::uint64_t>(INT64_MAX)) {
        value_ = static_cast<std::uint64_t>(value);
        return;
      }
    }
    value_ = static_cast<std::int64_t>(value);
  }
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  template <class T>
  Json(const std::vector<T>& values) : value_(Array(values.begin(), values.end())) {}

  [[nodiscard]] static Json array() { return Json(Array{}); }
  [[nodiscard]] static Json object() { return Json(Object{}); }

  /// Throws Error(kBadInput) that names `where` and the byte at which the text stops being JSON.
  /// A key that occurs twice in one object is an error. Nesting deeper than 128 is an error.
  [[nodiscard]] static Json parse(std::string_view text, std::string_view where);
  /// `indent` < 0 prints on one line. Non-finite numbers are printed as null. Characters beyond ASCII are
  /// escaped: zarr-python 2 reads metadata as ASCII.
  [[nodiscard]] std::string dump(int indent = -1) const;

  [[nodiscard]] bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  [[nodiscard]] bool is_bool() const { return std::holds_alternative<bool>(value_); }
  /// An integer that fits int64 or uint64; 3.0 is not one.
  [[nodiscard]] bool is_integer() const {
    return std::holds_alternative<std::int64_t>(value_) || is_big();
  }
  [[nodiscard]] bool is_big() const { return std::holds_alternative<std::uint64_t>(value_); }
  [[nodiscard]] bool is_number() const {
    return is_integer() || std::holds_alternative<double>(value_);
  }
  [[nodiscard]] bool is_string() const { return std::holds_alternative<std::string>(value_); }
  [[nodiscard]] bool is_array() const { return std::holds_alternative<Array>(value_); }
  [[nodiscard]] bool is_object() const { return std::holds_alternative<Object>(value_); }
  /// "null", "boolean", "integer", "number", "string", "array" or "object".
  [[nodiscard]] std::string_view type_name() const;

  // The value, for a caller that has checked the type; Error(kInternal) otherwise.
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] std::int64_t as_int64() const;  ///< Error(kBadInput) where it does not fit
  [[nodiscard]] std::uint64_t as_uint64() const;
  [[nodiscard]] double as_double() const;
  [[nodiscard]] const std::string& as_string() const;
  [[nodiscard]] const Array& as_array() const;
  [[nodiscard]] const Object& as_object() const;
  [[nodiscard]] Array& as_array();
  [[nodiscard]] Object& as_object();

  /// The member with this key; null pointer if there is none or this is no object.
  [[nodiscard]] const Json* find(std::string_view key) const;
  /// The member with this key, added (as null) if there is none. A null value becomes an object.
  Json& operator[](std::string_view key);
  /// Removes a member; nothing happens if there is none.
  void erase(std::string_view key);
  /// Appends to an array. A null value becomes an array.
  void push_back(Json value);

  friend bool operator==(const Json&, const Json&) = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object>
      value_;
};

}  // namespace flatfield
