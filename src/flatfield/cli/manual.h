#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace flatfield::cli {

// What a package installs beside the program, made from the commands and options that parse: no option is written down twice.

/// The manual page (troff, section 1) of a program and its subcommands.
[[nodiscard]] std::string manual_page(const CLI::App& program, const std::string& version);

/// A script for bash-completion that completes subcommands, options, the values of options that have few, and files.
[[nodiscard]] std::string bash_completion(const CLI::App& program);

}  // namespace flatfield::cli
