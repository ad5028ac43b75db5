#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/json.h"
#include "flatfield/core/object_reader.h"

namespace flatfield::config {

enum class OptionKind { kFlag, kInteger, kNumber, kText, kIntegerList, kLimits };

/// Where an option may be given, and whether it is documented.
enum class OptionUse {
  kEverywhere,
  kPositional,       ///< on the command line it has no flag
  kCommandLineOnly,  ///< not in files, nor in the resolved configuration
  kNotResolved,      ///< not in the resolved configuration: it concerns a single start, or another key says it
  kFileOnly,         ///< a key of files, no flag
  kIgnored,          ///< a key that files may hold without effect; neither documented nor resolved
  kHidden,           ///< neither in the help nor in the resolved configuration: for developers, or there only to be refused
};

/// One option: parsed, checked and documented from this row alone, on the command line ("--key-name")
/// as in a configuration file ("key_name").
template <class Config>
struct OptionRow {
  std::string key;  ///< with underscores
  OptionKind kind = OptionKind::kText;
  std::string values;  ///< range or choices, for people, e.g. "0..100"
  std::string help;    ///< one sentence
  /// Stores a value; throws std::invalid_argument("expected ...") for one of the wrong type or range.
  std::function<void(Config&, const Json&)> set;
  std::function<Json(const Config&)> get;
  OptionUse use = OptionUse::kEverywhere;
  bool changes_output = true;  ///< whether another value gives another output
};

template <class Config>
using OptionTable = std::vector<OptionRow<Config>>;

/// "--key-name" of a key.
[[nodiscard]] std::string flag_name(std::string_view key);

/// The text of a command line argument as the JSON value that a configuration file would hold.
/// Throws std::invalid_argument("expected ...") if it is not of this kind.
[[nodiscard]] Json parse_argument(OptionKind kind, const std::string& text);

/// A default as the help and the documents print it: "off" for null and false, "none" for "".
[[nodiscard]] std::string default_text(const Json& value);

/// Sets one option; the Error(kUsage) names the option as `shown` (a flag or a key) and `where`.
template <class Config>
void set_option(const OptionRow<Config>& row, const Json& value, std::string_view shown,
                const std::string& where, Config& config) {
  try {
    row.set(config, value);
  } catch (const std::invalid_argument& reason) {
    throw Error(ErrorCode::kUsage, std::string(shown) + ": " + reason.what() + ", found " + value.dump(), where);
  } catch (const Error& inner) {  // of a member of an object
    throw Error(inner.code(), std::string(shown) + ": " + inner.message(), where, inner.remedy());
  }
}

/// Sets `config` from an object whose keys are those of the table. Throws Error(kUsage) that names
/// `where`, the key, what was expected and, for an unknown key, the nearest known one.
template <class Config>
void read_object(const OptionTable<Config>& table, const Json& object, const std::string& where,
                 Config& config) {
  const ObjectReader reader(object, where, "", ErrorCode::kUsage);
  std::vector<std::string_view> known;
  for (const OptionRow<Config>& row : table)
    if (row.use != OptionUse::kCommandLineOnly) known.push_back(row.key);
  reader.refuse_unknown(known);
  for (const OptionRow<Config>& row : table)
    if (const Json* value = object.find(row.key)) set_option(row, *value, row.key, where, config);
}

/// Every key of the table that a file may hold with effect, with its present value, in table order.
template <class Config>
[[nodiscard]] Json to_json(const OptionTable<Config>& table, const Config& config) {
  Json out = Json::object();
  for (const OptionRow<Config>& row : table)
    if (row.use == OptionUse::kEverywhere || row.use == OptionUse::kPositional ||
        row.use == OptionUse::kFileOnly)
      out[row.key] = row.get(config);
  return out;
}

}  // namespace flatfield::config
