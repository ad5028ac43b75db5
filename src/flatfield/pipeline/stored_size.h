#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/zarr/array.h"

namespace flatfield::pipeline {

/// How many bytes an array takes in its store.
struct StoredSize {
  std::int64_t objects = 0;  ///< chunks, or shards; those that are not stored included
  std::int64_t bytes = 0;
  /// The same bytes by their place along the third-last axis (z), one number per row of objects.
  std::vector<std::int64_t> bytes_by_z;
  bool is_estimate = false;  ///< from the sizes of some of the objects
};

/// Asks the store for the sizes of the array's objects, `requests_at_once` at the same time: of all, or of
/// `most_objects` that are spread evenly. Throws Error(kReadFailed).
[[nodiscard]] StoredSize stored_size(const zarr::Array& array, std::int64_t most_objects, int requests_at_once);

}  // namespace flatfield::pipeline
