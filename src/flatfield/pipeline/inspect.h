#pragma once

#include <string>

#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

struct InspectOptions {
  bool checksum = false;  ///< add the SHA-256 of the content of every array that is described
  bool json = false;      ///< one JSON document for programs instead of lines for people
  int zarr_format = 0;    ///< which metadata count where both are there: 2 or 3; 0 = format 3
};

/// What is at a location: an array, a group, or an OME-Zarr image with its levels. Throws Error if
/// it cannot be opened, or if an array whose checksum is asked for cannot be read.
[[nodiscard]] std::string inspect(const std::string& location, const InspectOptions& options,
                                  storage::StoreOpener& stores);

}  // namespace flatfield::pipeline
