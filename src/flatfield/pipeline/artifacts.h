#pragma once

#include <cstdint>
#include <string>

#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// Where the results directory of a run goes whose output is on a server: PARENT(OUT)/artifacts/TILE,
/// TILE being the first tile of the run (algorithms.md section 8).
[[nodiscard]] std::string artifacts_location(const std::string& output, const std::string& first_tile);

/// Writes every file below a local folder to a location, under its relative path. What is there
/// already is replaced, and nothing removed. Returns the number of files.
/// Throws Error(kReadFailed, kWriteFailed).
std::int64_t upload_folder(const std::string& folder, const std::string& location,
                           storage::StoreOpener& stores);

}  // namespace flatfield::pipeline
