#include "flatfield/cli/manual.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::cli {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App* command) { return !command->get_name().empty(); });
}

/// The options that the help shows.
std::vector<const CLI::Option*> options_of(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return !option->get_group().empty(); });
}

/// Text between commands of troff: nothing in it is one.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '`') {
      continue;  // Markdown's marks of code
    } else {
      out += c;
    }
  }
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return out;
}

bool takes_a_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

/// "--level N", or the name of a positional argument.
std::string usage_of(const CLI::Option& option) {
  if (option.nonpositional()) {
    const std::string name = "\\fB" + escaped(option.get_name(false, true)) + "\\fR";
    return takes_a_value(option) ? name + " \\fI" + escaped(option.get_type_name()) + "\\fR" : name;
  }
  return "\\fI" + escaped(option.get_name(true)) + "\\fR";
}

std::string paragraph(const CLI::Option& option) {
  return fmt::format(".TP\n{}\n{}\n", usage_of(option), escaped(option.get_description()));
}

/// "N", "I/N" or "aws:kms:KEY" stand for something else.
bool stands_for_another(const std::string& word) {
  return word.find('/') != std::string::npos || word.ends_with(":KEY") ||
         std::ranges::all_of(word, [](char c) { return c >= 'A' && c <= 'Z'; });
}

/// The words of the "[a, b, c]" with which the help of an option says its values; none for ranges and texts.
std::vector<std::string> choices(const CLI::Option& option) {
  const std::string help = option.get_description();
  const std::size_t begin = help.find(" [");
  if (begin == std::string::npos) return {};
  const std::size_t end = help.find(']', begin);
  if (end == std::string::npos) return {};
  std::vector<std::string> words;
  std::string word;
  for (std::size_t i = begin + 2; i <= end; ++i) {
    const char c = help[i];
    if (c == ',' || i == end) {
      if (word.empty() || word.find_first_of(" .") != std::string::npos) return {};
      if (!stands_for_another(word)) words.push_back(word);
      word.clear();
    } else if (c != ' ' || !word.empty()) {
      word += c;
    }
  }
  return help.find(',', begin) < end ? words : std::vector<std::string>{};
}

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

}  // namespace

std::string manual_page(const CLI::App& program, const std::string& version) {
  std::string page = fmt::format(
      ".TH {} 1 \"\" \"{} {}\" \"User commands\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n.I command\n[\\fIoptions\\fR]\n",
      escaped(program.get_name()), program.get_name(), version, escaped(program.get_name()),
      escaped(program.get_description()), escaped(program.get_name()));
  page += ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(program)) {
    page += fmt::format(".SS {}\n{}\n", escaped(command->get_name()), escaped(command->get_description()));
    for (const CLI::Option* option : options_of(*command))
      if (option != command->get_help_ptr()) page += paragraph(*option);
  }
  page += ".SH EXIT STATUS\n";
  for (const ExitStatus& status : exit_statuses())
    page += fmt::format(".TP\n{}\n{}\n", status.code, escaped(std::string(status.meaning)));
  return page;
}

std::string bash_completion(const CLI::App& program) {
  std::vector<std::string> names;
  std::string options;
  std::string values;
  for (const CLI::App* command : commands_of(program)) {
    names.push_back(command->get_name());
    std::vector<std::string> flags;
    for (const CLI::Option* option : options_of(*command)) {
      if (!option->nonpositional()) continue;
      const std::string flag = option->get_name(false, true);
      flags.push_back(flag.substr(flag.rfind("--")));
      const std::vector<std::string> words = choices(*option);
      if (!words.empty()) values += fmt::format("    {}:{}) words='{}' ;;\n", command->get_name(), flags.back(), joined(words));
      else if (takes_a_value(*option))
        values += fmt::format("    {}:{}) return ;;\n", command->get_name(), flags.back());
    }
    options += fmt::format("    {}) words='{}' ;;\n", command->get_name(), joined(flags));
  }
  // Where a function completes nothing, bash completes files (-o default).
  std::string script = R"(# bash completion of @
_exaspim_flatfield() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words=
  case ${COMP_WORDS[0]} in *-run) command=run ;; esac
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 && ${COMP_WORDS[0]} != *-run ]]; then
    COMPREPLY=($(compgen -W 'NAMES' -- "$word"))
    return
  fi
  case $command:$before in
VALUES  esac
  if [[ -z $words ]]; then
    if [[ $word != -* ]]; then return; fi
    case $command in
OPTIONS    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _exaspim_flatfield @ @-run
)";
  const auto fill = [&script](const std::string& mark, const std::string& text) {
    for (std::size_t at = script.find(mark); at != std::string::npos; at = script.find(mark, at + text.size()))
      script.replace(at, mark.size(), text);
  };
  fill("NAMES", joined(names));
  fill("VALUES", values);
  fill("OPTIONS", options);
  fill("@", program.get_name());
  return script;
}

}  // namespace flatfield::cli
