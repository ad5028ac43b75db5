#include "flatfield/cli/argument_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "flatfield/core/error.h"
#include "flatfield/core/json.h"
#include "flatfield/pipeline/json_file.h"

namespace flatfield::cli {
namespace {

/// Null pointer if there is none.
const CLI::App* command_named(const CLI::App& program, const std::string& name) {
  const std::vector<const CLI::App*> found =
      program.get_subcommands([&](const CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

/// Whether the command takes several positional arguments: CLI11 takes each "[a,b]" apart.
bool takes_several(const CLI::App& command) {
  return !command
              .get_options([](const CLI::Option* option) {
                return option->get_positional() && option->get_allow_extra_args();
              })
              .empty();
}

bool is_bracketed(const std::string& word) {
  return word.size() >= 2 && word.front() == '[' && word.back() == ']';
}

/// The value that the words give an option, the last of several.
std::optional<std::string> value_in(const std::vector<std::string>& words, const std::string& option) {
  std::optional<std::string> value;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].starts_with(option + "=")) value = words[i].substr(option.size() + 1);
    if (words[i] == option && i + 1 < words.size()) value = words[i + 1];
  }
  return value;
}

}  // namespace

std::vector<std::string> plain_words(const CLI::App& program, const std::vector<std::string>& words) {
  const CLI::App* command = nullptr;
  const auto named = std::find_if(words.begin(), words.end(), [&](const std::string& word) {
    command = command_named(program, word);
    return command != nullptr;
  });
  if (command == nullptr) return words;
  const bool several = takes_several(*command);
  std::vector<std::string> plain(words.begin(), named + 1);
  bool only_places = false;  // after "--"
  for (auto word = named + 1; word != words.end(); ++word) {
    if (!only_places && *word == "--") {
      only_places = true;
      continue;
    }
    if (only_places || !word->starts_with("--")) {
      const bool is_disguised = (only_places && word->starts_with("-")) || (several && is_bracketed(*word));
      plain.push_back(is_disguised ? "./" + *word : *word);
      continue;
    }
    const std::size_t equals = word->find('=');
    const std::string name = word->substr(0, equals);
    const bool is_empty = equals + 1 == word->size();  // never so without "="
    const CLI::Option* option = command->get_option_no_throw(name);
    if (option == nullptr) {
      plain.push_back(*word);  // refused later, with the nearest known one
    } else if (option->get_items_expected_max() == 0) {
      // CLI11 takes it for true; it is often that of a variable which is not set.
      if (is_empty)
        throw Error(ErrorCode::kUsage, name + ": expected true or false, found \"\"", "", "leave it out, or write " + name);
      plain.push_back(*word);
    } else if (is_empty) {
      plain.push_back(name);
      plain.emplace_back();
    } else {
      plain.push_back(*word);
      const auto value = word + 1;
      if (equals != std::string::npos || value == words.end()) continue;
      if (value->starts_with("--"))
        throw Error(ErrorCode::kUsage, fmt::format("{}: a value is missing, found {}", name, *value), "",
                    fmt::format("write {}={} if that is meant", name, *value));
      plain.push_back(*value);
      word = value;
    }
  }
  return plain;
}

bool ask_for_json(const std::vector<std::string>& words) {
  if (const auto format = value_in(words, "--log-format")) return *format == "json";
  const auto config = value_in(words, "--config");
  std::error_code error;
  // A pipe cannot be read again, and a server is not asked again.
  if (!config || !std::filesystem::is_regular_file(*config, error)) return false;
  try {
    storage::StoreOpener stores;
    const Json document = pipeline::read_json(*config, "", stores);
    const Json* format = document.find("log_format");
    return format != nullptr && *format == Json("json");
  } catch (const std::exception&) {  // the error that is to be told is another one
    return false;
  }
}

}  // namespace flatfield::cli
