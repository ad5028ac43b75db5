#pragma once

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "flatfield/config/option_table.h"

namespace flatfield::cli {

/// The options of one subcommand, made from the rows of a table; keeps what was typed until it is stored.
template <class Config>
class CommandOptions {
 public:
  /// Adds every row as "--key-name", or as a positional argument.
  CommandOptions(CLI::App& command, const config::OptionTable<Config>& table)
      : command_(command), table_(table), typed_(table.size()) {
    // Unknown options are kept, so that the nearest known one can be named.
    command.allow_extras();
    const Config defaults;
    for (std::size_t i = 0; i < table.size(); ++i) {
      const config::OptionRow<Config>& row = table[i];
      if (!is_flag(row)) continue;
      const bool is_positional = row.use == config::OptionUse::kPositional;
      Typed& typed = typed_[i];
      const std::string help = row.help + describe(row, defaults);
      if (row.kind == config::OptionKind::kFlag) {
        typed.option = command.add_flag(config::flag_name(row.key), typed.flag, row.help);
      } else {
        typed.option = command.add_option(is_positional ? row.key : config::flag_name(row.key), typed.text, help);
        typed.option->type_name(row.kind == config::OptionKind::kInteger  ? "N"
                                : row.kind == config::OptionKind::kNumber ? "X"
                                                                          : "TEXT");
      }
      if (row.use == config::OptionUse::kHidden) typed.option->group("");
    }
  }

  /// Stores what was typed, checked, over what `config` holds. Throws Error(kUsage).
  void store(Config& config) const {
    refuse_extras();
    for (std::size_t i = 0; i < table_.size(); ++i) {
      const config::OptionRow<Config>& row = table_[i];
      const Typed& typed = typed_[i];
      if (typed.option == nullptr || typed.option->count() == 0) continue;
      const std::string shown = config::flag_name(row.key);
      // Nothing, as of a variable that is not set, would mean another run: all parts, or learning instead of a model.
      if (typed.text.empty() && (row.key == "part" || row.key == "model"))
        throw Error(ErrorCode::kUsage, fmt::format("{}: expected a value ({}), found \"\"", shown, row.values), "",
                    "leave the option out");
      try {
        const Json value = row.kind == config::OptionKind::kFlag ? Json(typed.flag)
                                                                 : config::parse_argument(row.kind, typed.text);
        config::set_option(row, value, shown, "", config);
      } catch (const std::invalid_argument& reason) {
        throw Error(ErrorCode::kUsage, fmt::format("{}: {}, found \"{}\"", shown, reason.what(), typed.text));
      }
    }
  }

  /// What was typed, over the defaults.
  [[nodiscard]] Config read() const {
    Config config;
    store(config);
    return config;
  }

 private:
  struct Typed {
    CLI::Option* option = nullptr;
    std::string text;
    bool flag = false;
  };

  static bool is_flag(const config::OptionRow<Config>& row) {
    return row.use != config::OptionUse::kFileOnly && row.use != config::OptionUse::kIgnored;
  }

  static std::string describe(const config::OptionRow<Config>& row, const Config& defaults) {
    const std::string values = row.values.empty() ? "" : " [" + row.values + "]";
    const Json value = row.get(defaults);
    return value.is_null() ? values : values + " (default " + config::default_text(value) + ")";
  }

  void refuse_extras() const {
    for (const std::string& extra : command_.remaining()) {
      const std::string word = extra.substr(0, extra.find('='));
      std::vector<std::string> flags;
      for (const auto& row : table_)
        if (is_flag(row) && row.use != config::OptionUse::kHidden && row.use != config::OptionUse::kPositional)
          flags.push_back(config::flag_name(row.key));
      const std::vector<std::string_view> known(flags.begin(), flags.end());
      const std::string_view near = nearest_word(word, known);
      throw Error(ErrorCode::kUsage,
                  word.rfind("-", 0) == 0 ? "unknown option " + word : "unexpected argument " + word, "",
                  near.empty() ? "see --help" : fmt::format("did you mean {}?", near));
    }
  }

  CLI::App& command_;
  const config::OptionTable<Config>& table_;
  std::vector<Typed> typed_;
};

}  // namespace flatfield::cli
