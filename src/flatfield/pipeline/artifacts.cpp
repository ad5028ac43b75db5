#include "flatfield/pipeline/artifacts.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/spilled_plane.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPieceBytes = std::uint64_t{4} << 20U;

std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unknown;  // a file that vanishes meanwhile
    // What is removed as soon as it is closed (a file of this run, and as NFS calls it) is no result.
    const std::string own = entry->path().filename().string();
    if (own.starts_with(".nfs") || own.starts_with(kSpillPrefix)) continue;
    if (entry->is_regular_file(unknown))
      names.push_back(entry->path().lexically_relative(folder).generic_string());
  }
  if (error) storage::throw_file_error(ErrorCode::kReadFailed, "list", folder, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::string artifacts_location(const std::string& output, const std::string& first_tile) {
  return join_location(join_location(location_parent(output), "artifacts"),
                       location_name(first_tile));
}

void FolderUpload::keep_earlier(storage::StoreOpener& stores, const std::string& name) {
  try {
    if (auto text = storage::get_text(*stores.open(location_), name)) earlier_[name] = std::move(*text);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kReadFailed) throw;
  }
}

std::int64_t FolderUpload::update(storage::StoreOpener& stores) {
  const auto from = stores.open(folder_);
  const auto to = stores.open(location_);
  std::int64_t count = 0;
  Buffer piece;
  for (const std::string& name : files_below(folder_)) {
    std::error_code vanished;
    const fs::file_time_type changed = fs::last_write_time(fs::path(folder_) / name, vanished);
    const auto size = from->size(name);
    if (vanished || !size) continue;
    const Version version{*size, changed};
    if (const auto known = uploaded_.find(name); known != uploaded_.end() && known->second == version) continue;
    const auto writer = to->create(name);
    if (const auto earlier = earlier_.find(name); earlier != earlier_.end()) writer->append(as_bytes(earlier->second));
    for (std::uint64_t offset = 0; offset < *size; offset += kPieceBytes) {
      if (!from->get_range(name, {offset, std::min(kPieceBytes, *size - offset)}, piece))
        throw Error(ErrorCode::kReadFailed, "the file vanished while it was read", from->describe(name));
      writer->append(piece.span());
    }
    writer->commit();
    uploaded_[name] = version;
    ++count;
  }
  return count;
}

}  // namespace flatfield::pipeline
