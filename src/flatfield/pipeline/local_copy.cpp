#include "flatfield/pipeline/local_copy.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

/// A new, empty file that only this user may read.
std::string make_temporary_file() {
  std::string name = (fs::temp_directory_path() / "flatfield_copy_XXXXXX").string();
  const int number = ::mkstemp(name.data());
  if (number < 0) storage::throw_file_error(ErrorCode::kWriteFailed, "create", name, errno);
  ::close(number);
  return name;
}

}  // namespace

LocalCopy::LocalCopy(const std::string& location, storage::StoreOpener& stores) : path_(location) {
  if (!storage::is_remote(location)) return;
  const auto [store, key] = stores.open_object(location);
  Buffer bytes;
  if (!store->get(key, bytes))
    throw Error(ErrorCode::kNotFound, "there is no such file", location, "check the name");
  const fs::path name = make_temporary_file();
  try {
    storage::open_store(name.parent_path().string())->put(name.filename().string(), bytes.span());
  } catch (...) {
    std::error_code ignored;
    fs::remove(name, ignored);
    throw;
  }
  path_ = name;
  is_copy_ = true;
}

LocalCopy::~LocalCopy() {
  std::error_code ignored;  // what is left in the folder for temporary files harms nobody
  if (is_copy_) fs::remove(path_, ignored);
}

}  // namespace flatfield::pipeline
