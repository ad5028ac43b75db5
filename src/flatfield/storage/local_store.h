#pragma once

#include <filesystem>
#include <memory>

#include "flatfield/storage/store.h"

namespace flatfield::storage {

/// A folder of the local file system as a Store. Objects are files; they are written to a temporary
/// file beside their target (name ending ".tmp-<pid>-<n>") that is then renamed, so no reader ever
/// sees half an object; `list` does not show these. Folders are made as needed. The root need not
/// exist for reading: everything is absent then. `erase_prefix` never follows a symbolic link below
/// the root. Throws Error(kReadFailed) if `root` is empty or the working folder is gone.
[[nodiscard]] std::shared_ptr<Store> open_local_store(const std::filesystem::path& root);

}  // namespace flatfield::storage
