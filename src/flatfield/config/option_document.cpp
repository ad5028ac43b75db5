#include "flatfield/config/option_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "flatfield/config/basic_folder_config.h"
#include "flatfield/config/fitting_config.h"
#include "flatfield/config/run_config.h"

namespace flatfield::config {
namespace {

/// A text inside a table cell.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string upper_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

template <class Config>
std::string table_text(const OptionTable<Config>& table, const std::string& heading,
                       const std::vector<OptionUse>& uses, bool flags) {
  const Config defaults;
  std::string out = "| " + heading + " | values | default | meaning |\n|---|---|---|---|\n";
  for (const OptionRow<Config>& row : table) {
    if (std::find(uses.begin(), uses.end(), row.use) == uses.end()) continue;
    const std::string values = row.kind == OptionKind::kFlag ? (flags ? "flag" : "true, false") : row.values;
    const std::string name = !flags ? row.key : row.use == OptionUse::kPositional ? upper_case(row.key) : flag_name(row.key);
    out += fmt::format("| `{}` | {} | {} | {} |\n", name, cell(values),
                       cell(default_text(row.get(defaults))), cell(row.help));
  }
  return out;
}

}  // namespace

std::string option_document() {
  return table_text(run_table(), "option of `run`",
                    {OptionUse::kEverywhere, OptionUse::kCommandLineOnly, OptionUse::kNotResolved}, true) +
         "\n" + table_text(basic_folder_table(), "option of `basic`", {OptionUse::kPositional, OptionUse::kEverywhere}, true);
}

std::string configuration_document() {
  std::string ignored;
  for (const auto& row : run_table())
    if (row.use == OptionUse::kIgnored) ignored += (ignored.empty() ? "`" : ", `") + row.key + "`";
  return "## `--config`\n\n" +
         table_text(run_table(), "key", {OptionUse::kEverywhere, OptionUse::kNotResolved, OptionUse::kFileOnly}, false) +
         "\nKeys of the Python program that mean nothing here are accepted with a notice: " + ignored +
         ".\n\n## `--fitting-config`\n\n" +
         table_text(fitting_table(), "key", {OptionUse::kEverywhere}, false) + "\n## `--basic-config`\n\n" +
         table_text(basic_table(), "key", {OptionUse::kEverywhere}, false);
}

std::string exit_code_document() {
  std::string out = "| code | meaning |\n|---|---|\n";
  for (const ExitStatus& status : exit_statuses()) out += fmt::format("| {} | {} |\n", status.code, status.meaning);
  return out;
}

}  // namespace flatfield::config
