#pragma once

#include <memory>
#include <string_view>

#include "flatfield/storage/memory_store.h"
#include "targets.h"

namespace flatfield::fuzz {

/// What stands before each object of a store: a line with its key, after a line break unless it is
/// the first. There are no lengths, so that a fuzzer can lengthen an object without breaking the
/// input, and people can read it.
inline constexpr std::string_view kKeyMark = "--- ";

/// The store that an input describes: the bytes of each object follow the line with its key. What
/// has no valid key is left out, and so is all beyond 64 objects.
[[nodiscard]] std::shared_ptr<storage::MemoryStore> read_store(Input input);

}  // namespace flatfield::fuzz
