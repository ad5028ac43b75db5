#pragma once

namespace flatfield {

/// From now on SIGINT and SIGTERM ask the process to stop where nothing is half done; the second of them ends it at
/// once, as it does without this.
void catch_interruptions();

/// Whether the process has been asked to stop.
[[nodiscard]] bool interruption_requested() noexcept;

/// Throws Error(kInterrupted) if the process has been asked to stop.
void stop_if_interrupted();

}  // namespace flatfield
