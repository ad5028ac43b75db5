#include "flatfield/pipeline/local_folders.h"

#include <system_error>

#include "flatfield/core/error.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

namespace fs = std::filesystem;

void require_local_folder(const std::string& location, const std::string& what) {
  if (location.find("://") != std::string::npos)
    throw Error(ErrorCode::kUsage, what + ": this can only be a local folder", location, "name a folder of this machine");
}

MadeFolders::MadeFolders(const std::string& location) {
  if (storage::is_remote(location)) return;
  std::error_code ignored;
  for (fs::path folder = fs::absolute(location, ignored); folder.has_relative_path() && !fs::exists(folder, ignored);
       folder = folder.parent_path())
    missing_.push_back(folder);
}

MadeFolders::~MadeFolders() {
  std::error_code ignored;  // a folder that is not empty stays
  for (const fs::path& folder : missing_) fs::remove(folder, ignored);
}

}  // namespace flatfield::pipeline
