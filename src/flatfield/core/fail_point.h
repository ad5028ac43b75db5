#pragma once

#include <string_view>

namespace flatfield {

/// A moment at which a test may have the process killed, as a power failure or a scheduler would do it: with
/// SIGKILL, when this point is passed for the K-th time (K from 1) and the environment variable
/// FLATFIELD_KILL_AT is "NAME:K"; with "NAME:K:TERM" it is asked to stop, with SIGTERM. Without that variable it costs a
/// comparison. CONTRIBUTING.md lists the names.
void fail_point(std::string_view name);

}  // namespace flatfield
