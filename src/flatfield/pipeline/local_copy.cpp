#include "flatfield/pipeline/local_copy.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <system_error>

#include "flatfield/core/buffer.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

/// Several of the pieces that a store fetches at the same time.
constexpr std::uint64_t kPieceBytes = std::uint64_t{32} << 20U;
constexpr int kMostCopies = 3;

/// Copies the version of an object that has this stamp; false if another was put in its place meanwhile.
bool copy_version(const storage::Store& from, const std::string& key, const storage::ObjectStamp& stamp,
                  storage::Store& to, const std::string& to_key) {
  const auto writer = to.create(to_key);
  Buffer piece;
  for (std::uint64_t offset = 0; offset < stamp.bytes; offset += kPieceBytes) {
    try {
      if (!from.get_range(key, {offset, std::min(kPieceBytes, stamp.bytes - offset)}, piece)) return false;
    } catch (const Error&) {
      if (from.stamp(key) != stamp) return false;  // it may have become shorter
      throw;
    }
    writer->append(piece.span());
  }
  if (from.stamp(key) != stamp) return false;
  writer->commit();
  return true;
}

/// A new folder that only this user may look into: what is copied may not be everybody's, and a file that is written anew
/// would be.
std::string make_private_folder() {
  std::string name = (fs::temp_directory_path() / "flatfield_copy_XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) storage::throw_file_error(ErrorCode::kWriteFailed, "create", name, errno);
  return name;
}

}  // namespace

bool copy_in_pieces(const storage::Store& from, const std::string& key, storage::Store& to, const std::string& to_key) {
  for (int i = 0; i < kMostCopies; ++i) {
    const auto stamp = from.stamp(key);
    if (!stamp) return false;
    if (copy_version(from, key, *stamp, to, to_key)) return true;
  }
  throw Error(ErrorCode::kReadFailed, "the object changes while it is read", from.describe(key),
              "let nothing else write to it and start again");
}

LocalCopy::LocalCopy(const std::string& location, storage::StoreOpener& stores) : path_(location) {
  if (!storage::is_remote(location)) return;
  const auto [store, key] = stores.open_object(location);
  const std::string folder = make_private_folder();
  try {
    if (!copy_in_pieces(*store, key, *storage::open_store(folder), "copy"))
      throw Error(ErrorCode::kNotFound, "there is no such file", location, "check the name");
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
