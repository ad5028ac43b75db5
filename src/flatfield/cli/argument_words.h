#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace flatfield::cli {

/// The words of a call, so that CLI11 takes each for what it is. An option never takes the next option as its value; "--name="
/// gives it an empty one. Positional arguments are places: where one begins with "-" after "--", or is "[a,b]" where several
/// may be named, "./" stands before it. Throws Error(kUsage) for an option without a value, and for a flag with an empty one.
[[nodiscard]] std::vector<std::string> plain_words(const CLI::App& program, const std::vector<std::string>& words);

/// Whether lines are to be JSON, as far as the words say it, or else the local file that they name with --config. For errors
/// before there is a log.
[[nodiscard]] bool ask_for_json(const std::vector<std::string>& words);

}  // namespace flatfield::cli
