#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace flatfield::pipeline {

/// Throws Error(kUsage) where what can only be a folder of this machine is a URL; `what` is the option that names it.
void require_local_folder(const std::string& location, const std::string& what);

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
