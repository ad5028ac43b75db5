#include "flatfield/pipeline/local_folders.h"

#include <system_error>

#include "flatfield/core/error.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

namespace fs = std::filesystem;

void require_local_folder(const std::string& location, const std::string& what) {
  if (location.find("://") != std::string::npos)
    throw Error(ErrorCode::kUsage, what + ": expected the path of a local folder, found a URL", location,
                "name a folder by its path, as /data/NAME");
}

void make_results_dir(const std::string& path) {
  require_local_folder(path, "--results-dir");
  std::error_code error;
  fs::create_directories(path, error);
  if (!error && !fs::is_directory(path, error) && !error) error = std::make_error_code(std::errc::not_a_directory);
  if (error)
    throw Error(ErrorCode::kWriteFailed, "cannot make the results directory: " + error.message(), path,
                "choose another --results-dir");
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
