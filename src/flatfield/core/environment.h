#pragma once

#include <functional>
#include <optional>
#include <string>

namespace flatfield {

/// Variables of the environment, by name; none where not set. A parameter so that tests can choose
/// them.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The environment of this process.
[[nodiscard]] std::optional<std::string> process_environment(const std::string& name);

/// The variable if it is set and not empty.
[[nodiscard]] std::optional<std::string> non_empty(const Environment& environment,
                                                   const std::string& name);

}  // namespace flatfield
