#pragma once

#include <string>

namespace flatfield::storage {

/// Runs a command line by /bin/sh and returns what it printed, at most 1 MiB; its error output goes
/// nowhere, as it may hold secrets. Throws Error(kReadFailed) that names `what` if it cannot be
/// started, takes longer than `timeout_seconds` (it is ended then), or does not exit with 0.
[[nodiscard]] std::string run_shell_command(const std::string& command, double timeout_seconds,
                                            const std::string& what);

}  // namespace flatfield::storage
