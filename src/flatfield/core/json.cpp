#include "flatfield/core/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "flatfield/core/error.h"

namespace flatfield {
namespace {

constexpr int kDeepestNesting = 128;
constexpr std::size_t kFewKeys = 16;  ///< of an object, which are compared one by one

/// Builds a Json from nlohmann's parser events; refuses what a lenient DOM would hide:
/// keys that occur twice and nesting that would exhaust the stack.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(std::int64_t value) override { return add(Json(value)); }
  bool number_unsigned(std::uint64_t value) override { return add(Json(value)); }
  bool number_float(double value, const std::string& text) override {
    if (!std::isfinite(value)) fail("number out of range: " + text.substr(0, 40));
    return add(Json(value));
  }
  bool string(std::string& value) override { return add(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t& /*value*/) override { fail("binary value"); }
  bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(std::string& key) override {
    if (has(key)) fail("the key \"" + key + "\" occurs twice");
    keys_.push_back(std::move(key));
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& /*cause*/) override {
    const std::string_view rest = position > 0 && position <= text_.size() ? text_.substr(position - 1) : "";
    // Python's json.dumps writes them. Of -Infinity the byte after the sign is the first that is wrong.
    const bool is_no_number = rest.starts_with("NaN") || rest.starts_with("Infinity");
    fail(fmt::format("not valid JSON (byte {}){}", position, is_no_number ? ": NaN and Infinity are not JSON" : ""));
  }

  [[nodiscard]] Json take() { return std::move(root_); }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadInput, what, where_);
  }
  /// Whether the object that is open has this key.
  [[nodiscard]] bool has(const std::string& key) {
    if (stack_.back().as_object().size() <= kFewKeys) return stack_.back().find(key) != nullptr;
    const Json::Object& members = stack_.back().as_object();
    std::unordered_set<std::string>& known = known_.back();
    for (std::size_t i = known.size(); i < members.size(); ++i) known.insert(members[i].first);
    return known.contains(key);
  }
  bool open(Json value) {
    if (stack_.size() >= kDeepestNesting) fail("nested too deeply");
    stack_.push_back(std::move(value));
    known_.emplace_back();
    return true;
  }
  bool close() {
    Json value = std::move(stack_.back());
    stack_.pop_back();
    known_.pop_back();
    return add(std::move(value));
  }
  bool add(Json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (stack_.back().is_array()) {
      stack_.back().as_array().push_back(std::move(value));
    } else {
      stack_.back().as_object().emplace_back(std::move(keys_.back()), std::move(value));
      keys_.pop_back();
    }
    return true;
  }

  std::string_view text_;
  std::string where_;
  Json root_;
  std::vector<Json> stack_;
  std::vector<std::unordered_set<std::string>> known_;  ///< keys of each of these that is an object of many
  std::vector<std::string> keys_;
};

nlohmann::ordered_json to_nlohmann(const Json& value) {
  if (value.is_null()) return nullptr;
  if (value.is_bool()) return value.as_bool();
  if (value.is_big()) return value.as_uint64();
  if (value.is_integer()) return value.as_int64();
  if (value.is_number()) return value.as_double();
  if (value.is_string()) return value.as_string();
  if (value.is_array()) {
    auto out = nlohmann::ordered_json::array();
    for (const Json& element : value.as_array()) out.push_back(to_nlohmann(element));
    return out;
  }
  auto out = nlohmann::ordered_json::object();
  // Keys occur once. To look each up, as out[key] does, takes time with the square of their number.
  auto& members = out.get_ref<nlohmann::ordered_json::object_t&>();
  members.reserve(value.as_object().size());
  for (const auto& [key, member] : value.as_object()) members.emplace_back(key, to_nlohmann(member));
  return out;
}

[[noreturn]] void wrong_type(const Json& value, std::string_view wanted) {
  throw Error(ErrorCode::kInternal,
              fmt::format("a JSON {} was used as {}", value.type_name(), wanted));
}

}  // namespace

Json Json::parse(std::string_view text, std::string_view where) {
  Builder builder(text, where);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

std::string Json::dump(int indent) const {
  return to_nlohmann(*this).dump(indent, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

std::string_view Json::type_name() const {
  if (is_null()) return "null";
  if (is_bool()) return "boolean";
  if (is_integer()) return "integer";
  if (is_number()) return "number";
  if (is_string()) return "string";
  return is_array() ? "array" : "object";
}

bool Json::as_bool() const {
  if (!is_bool()) wrong_type(*this, "boolean");
  return std::get<bool>(value_);
}

std::int64_t Json::as_int64() const {
  if (is_big()) throw Error(ErrorCode::kBadInput, "integer too large: " + dump());
  if (!is_integer()) wrong_type(*this, "integer");
  return std::get<std::int64_t>(value_);
}

std::uint64_t Json::as_uint64() const {
  if (is_big()) return std::get<std::uint64_t>(value_);
  const std::int64_t value = as_int64();
  if (value < 0) throw Error(ErrorCode::kBadInput, "negative integer: " + dump());
  return static_cast<std::uint64_t>(value);
}

double Json::as_double() const {
  if (is_big()) return static_cast<double>(std::get<std::uint64_t>(value_));
  if (is_integer()) return static_cast<double>(std::get<std::int64_t>(value_));
  if (!is_number()) wrong_type(*this, "number");
  return std::get<double>(value_);
}

const std::string& Json::as_string() const {
  if (!is_string()) wrong_type(*this, "string");
  return std::get<std::string>(value_);
}

const Json::Array& Json::as_array() const {
  if (!is_array()) wrong_type(*this, "array");
  return std::get<Array>(value_);
}

const Json::Object& Json::as_object() const {
  if (!is_object()) wrong_type(*this, "object");
  return std::get<Object>(value_);
}

Json::Array& Json::as_array() {
  if (!is_array()) wrong_type(*this, "array");
  return std::get<Array>(value_);
}

Json::Object& Json::as_object() {
  if (!is_object()) wrong_type(*this, "object");
  return std::get<Object>(value_);
}

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  const Object& members = as_object();
  const auto it =
      std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.first == key; });
  return it == members.end() ? nullptr : &it->second;
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = Object{};
  Object& members = as_object();
  for (Member& member : members)
    if (member.first == key) return member.second;
  members.emplace_back(std::string(key), Json());
  return members.back().second;
}

void Json::erase(std::string_view key) {
  std::erase_if(as_object(), [&](const Member& m) { return m.first == key; });
}

void Json::push_back(Json value) {
  if (is_null()) value_ = Array{};
  as_array().push_back(std::move(value));
}

}  // namespace flatfield
