#include "flatfield/pipeline/local_copy.h"

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

/// A new folder that only this user may look into: what is copied may not be everybody's, and a file that is written anew
/// would be.
std::string make_private_folder() {
  std::string name = (fs::temp_directory_path() / "flatfield_copy_XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) storage::throw_file_error(ErrorCode::kWriteFailed, "create", name, errno);
  return name;
}

}  // namespace

LocalCopy::LocalCopy(const std::string& location, storage::StoreOpener& stores) : path_(location) {
  if (!storage::is_remote(location)) return;
  const auto [store, key] = stores.open_object(location);
  Buffer bytes;
  if (!store->get(key, bytes))
    throw Error(ErrorCode::kNotFound, "there is no such file", location, "check the name");
  const std::string folder = make_private_folder();
  try {
    storage::open_store(folder)->put("copy", bytes.span());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    throw;
  }
  path_ = fs::path(folder) / "copy";
  is_copy_ = true;
}

LocalCopy::~LocalCopy() {
  std::error_code ignored;  // what is left in the folder for temporary files harms nobody
  if (is_copy_) fs::remove_all(path_.parent_path(), ignored);
}

}  // namespace flatfield::pipeline
