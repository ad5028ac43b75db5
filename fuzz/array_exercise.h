#pragma once

#include <memory>
#include <string>

#include "flatfield/storage/store.h"

namespace flatfield::fuzz {

/// Opens the array at `path` and reads it in every way there is. All ways must agree, whatever was
/// in memory before; what this program can write must be read back as it was.
void exercise_array(const std::shared_ptr<storage::Store>& store, const std::string& path,
                    int zarr_format);

}  // namespace flatfield::fuzz
