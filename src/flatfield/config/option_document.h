#pragma once

#include <string>

namespace flatfield::config {

/// The options of `run` as a Markdown table, made from the rows that parse and check them. The README
/// holds this text.
[[nodiscard]] std::string option_document();

/// The keys of the configuration files, made the same way. docs/configuration.md holds this text.
[[nodiscard]] std::string configuration_document();

/// The exit codes of the program. The README holds this text.
[[nodiscard]] std::string exit_code_document();

}  // namespace flatfield::config
