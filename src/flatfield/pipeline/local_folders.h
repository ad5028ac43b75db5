#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace flatfield::pipeline {

/// Throws Error(kUsage) where what can only be a folder of this machine is a URL; `what` is the option that names it.
void require_local_folder(const std::string& location, const std::string& what);

/// Makes --results-dir, which can only be a local folder: beside an output on S3 its files are uploaded. Throws Error(kUsage)
/// for a URL, Error(kWriteFailed) where it cannot be made.
void make_results_dir(const std::string& path);

/// Removes the local folders that were made for a location while it lived, unless something is in them then.
class MadeFolders {
 public:
  /// Remembers which folders of the way to `location` are missing; none for a location on a server.
  explicit MadeFolders(const std::string& location);
  ~MadeFolders();
  MadeFolders(const MadeFolders&) = delete;
  MadeFolders& operator=(const MadeFolders&) = delete;

 private:
  std::vector<std::filesystem::path> missing_;  ///< innermost first
};

}  // namespace flatfield::pipeline
