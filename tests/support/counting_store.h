#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "flatfield/storage/memory_store.h"

namespace flatfield {

/// A store that counts the objects that are asked for as a whole.
class CountingStore final : public storage::MemoryStore {
 public:
  bool get(std::string_view key, Buffer& into) const override {
    ++gets;
    return MemoryStore::get(key, into);
  }
  mutable std::atomic<std::int64_t> gets = 0;
};

}  // namespace flatfield
