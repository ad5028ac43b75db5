#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// Where the results directory of a run goes whose output is on a server: PARENT(OUT)/artifacts/TILE,
/// TILE being the first tile of the run (docs/s3.md).
[[nodiscard]] std::string artifacts_location(const std::string& output, const std::string& first_tile);

/// Brings the files below a local folder to a location, again and again.
class FolderUpload {
 public:
  FolderUpload(std::string folder, std::string location) : folder_(std::move(folder)), location_(std::move(location)) {}

  /// Keeps what an object `name` of earlier runs holds, on other machines say, before what the file of this name will
  /// hold. Nothing where it is not there or cannot be read: a run may be allowed to write alone.
  void keep_earlier(storage::StoreOpener& stores, const std::string& name);
  /// Writes every file that is new or has changed since the last time, under its relative path. What is there already is
  /// replaced, and nothing removed. Returns the number of files. Throws Error(kReadFailed, kWriteFailed).
  std::int64_t update(storage::StoreOpener& stores);
  [[nodiscard]] const std::string& location() const { return location_; }

 private:
  struct Version {
    std::uint64_t bytes = 0;
    std::filesystem::file_time_type changed;
    friend bool operator==(const Version&, const Version&) = default;
  };
  std::string folder_;
  std::string location_;
  std::map<std::string, Version> uploaded_;
  std::map<std::string, std::string> earlier_;
};

}  // namespace flatfield::pipeline
