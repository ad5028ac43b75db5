#pragma once

#include <string_view>

#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// Proves that a run may write, read and remove where it will write, by one small object that is
/// removed again, also where it may not be read: hours of work must not end with the first object that is refused.
/// Throws Error(kWriteFailed), and what reading throws; Error(kUsage) where the object is seen in `input`, which is then the
/// same place.
void prove_writable(Store& store, const Store* input = nullptr);

/// Removes what prove_writable has left where it was killed.
void erase_probes(Store& store);

/// True for the names of the objects that prove_writable makes, and leaves where it is killed.
[[nodiscard]] bool is_probe(std::string_view name);

}  // namespace flatfield::storage
