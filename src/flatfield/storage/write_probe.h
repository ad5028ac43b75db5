#pragma once

#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// Proves that a run may write, read and remove where it will write, by one small object that is
/// removed again: hours of work must not end with the first object that is refused.
/// Throws Error(kWriteFailed).
void prove_writable(Store& store);

}  // namespace flatfield::storage
