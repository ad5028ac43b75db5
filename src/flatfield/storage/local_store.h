#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// What a file must have survived before it counts as written.
enum class Sync : std::uint8_t {
  kNone,   ///< the end of the process
  kClose,  ///< a power failure: the content is on the disk before the file gets its name
  kFull,   ///< the same, and the name is on the disk too
};

/// Whether the system's cache may fill with what is read and written.
enum class Caching : std::uint8_t {
  kKept,     ///< as the system sees fit
  kPassing,  ///< no: it is read or written once, and is more than the cache holds (PassingFiles)
};

/// A folder of the local file system as a Store. Objects are files; they are written to a temporary
/// file beside their target (name ending ".tmp-<pid>-<n>") that is then renamed, so no reader ever
/// sees half an object; `list` does not show these. Folders are made as needed. The root need not
/// exist for reading: everything is absent then. `erase_prefix` never follows a symbolic link below
/// the root. Throws Error(kReadFailed) if `root` is empty or the working folder is gone.
[[nodiscard]] std::shared_ptr<Store> open_local_store(const std::filesystem::path& root,
                                                      Sync sync = Sync::kNone,
                                                      Caching caching = Caching::kKept);

}  // namespace flatfield::storage
