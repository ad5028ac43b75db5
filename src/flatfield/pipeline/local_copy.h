#pragma once

#include <filesystem>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/storage/open_store.h"
#include "flatfield/storage/store.h"

namespace flatfield::pipeline {

/// Copies an object, piece by piece, so that no more than a piece of it (32 MiB) is in memory; a web server that knows no
/// ranges sends all of it for each. The copy is of one version of the object, whatever is put in its place meanwhile, as
/// far as the server tells versions apart (ObjectStamp). Returns false if there is no such object. Throws what the stores
/// throw, and Error(kReadFailed) if it changes all the time.
[[nodiscard]] bool copy_in_pieces(const storage::Store& from, const std::string& key, storage::Store& to,
                                  const std::string& to_key);

/// A file at a location as a file of this machine: itself, or a copy in the folder for temporary
/// files that only this user may read, and that is removed at the end of its life.
class LocalCopy {
 public:
  /// Throws Error(kNotFound) if there is nothing at a location that is not of this machine, or what
  /// the store throws.
  LocalCopy(const std::string& location, storage::StoreOpener& stores);
  ~LocalCopy();
  LocalCopy(const LocalCopy&) = delete;
  LocalCopy& operator=(const LocalCopy&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool is_copy_ = false;
};

/// Calls `read(path)` for the file at `location`; an Error about a copy names the location instead.
template <class F>
auto with_local_copy(const std::string& location, storage::StoreOpener& stores, F read) {
  const LocalCopy copy(location, stores);
  try {
    return read(copy.path());
  } catch (const Error& error) {
    if (error.where() != copy.path().string()) throw;
    throw Error(error.code(), error.message(), location, error.remedy());
  }
}

}  // namespace flatfield::pipeline
