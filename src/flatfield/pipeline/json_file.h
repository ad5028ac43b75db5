#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "flatfield/core/json.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// Reads a JSON file that an option names, here or on a server. Throws Error(kNotFound, kBadInput) with
/// `remedy`, and what the store throws.
[[nodiscard]] Json read_json(const std::string& location, const std::string& remedy,
                             storage::StoreOpener& stores);

/// Writes a file of the results directory: under a temporary name first, so that no half file is ever seen.
/// Throws Error(kWriteFailed).
void write_result_file(const std::string& path, std::span<const std::byte> content);

/// Removes a file of the results directory that an earlier run has left, if there is one; a folder of its name stays.
/// Throws Error(kWriteFailed).
void remove_result_file(const std::string& path);

/// The same as write_result_file, of a JSON value, indented.
void write_json(const std::string& path, const Json& value);

}  // namespace flatfield::pipeline
