#include "flatfield/pipeline/mask_catalog.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/methods/tissue_mask.h"
#include "flatfield/numerics/nearest_resize.h"
#include "flatfield/pipeline/local_copy.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

std::string identifier_of(const std::string& tile_name) {
  const auto identifier = tile_identifier(tile_name);
  if (!identifier)
    throw Error(ErrorCode::kUsage, "the tile's name holds no identifier to find its mask by", tile_name,
                "name it like tile_000001_ch_488.zarr or tile_x_0001_y_0002_z_0000_ch_488.zarr");
  return *identifier;
}

}  // namespace

MaskCatalog::MaskCatalog(const std::string& folder, storage::StoreOpener& stores, execution::MemoryBudget& memory,
                         const std::string& results_dir)
    : folder_(trimmed_location(folder)), stores_(stores), memory_(memory) {
  const bool is_there = storage::is_remote(folder) ? !stores.open(folder)->list("").empty()
                                                   : fs::is_directory(folder);
  if (!is_there)
    throw Error(ErrorCode::kNotFound, "--mask-dir is not a folder", folder, "check the name");
  if (results_dir.empty() || storage::is_remote(folder_) || lies_within(folder_, results_dir)) return;
  left_out_ = fs::weakly_canonical(fs::absolute(trimmed_location(results_dir)));
}

std::optional<std::string> MaskCatalog::find_file(const std::string& tile_name) const {
  const std::string identifier = identifier_of(tile_name);
  const std::vector<std::string> matches =
      storage::is_remote(folder_) ? search_remote(identifier) : search_local(identifier);
  if (matches.empty()) return std::nullopt;
  return *std::min_element(matches.begin(), matches.end());
}

std::vector<std::string> MaskCatalog::search_remote(const std::string& identifier) const {
  const auto store = stores_.open(folder_);
  std::vector<std::string> matches;
  std::vector<std::string> prefixes{""};
  while (!prefixes.empty()) {
    const std::string prefix = std::move(prefixes.back());
    prefixes.pop_back();
    for (const std::string& name : store->list(prefix)) {
      if (name.ends_with('/'))
        prefixes.push_back(storage::join_key(prefix, name.substr(0, name.size() - 1)));
      else if (has_tiff_name(name) && tile_identifier(name) == identifier)
        matches.push_back(join_location(folder_, storage::join_key(prefix, name)));
    }
  }
  return matches;
}

std::vector<std::string> MaskCatalog::search_local(const std::string& identifier) const {
  std::vector<std::string> matches;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder_, fs::directory_options::follow_directory_symlink, error);
  // The folders that the search is in, without links: one that leads back to them would never end.
  std::vector<fs::path> above{fs::weakly_canonical(folder_)};
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code unknown;  // a link that leads nowhere is no mask
    if (entry->is_directory(unknown)) {
      above.resize(static_cast<std::size_t>(entry.depth()) + 1);
      const fs::path place = fs::weakly_canonical(entry->path());
      if (place == left_out_ || std::find(above.begin(), above.end(), place) != above.end())
        entry.disable_recursion_pending();
      above.push_back(place);
      continue;
    }
    if (!has_tiff_name(entry->path()) || !entry->is_regular_file(unknown)) continue;
    if (tile_identifier(entry->path().filename().string()) == identifier)
      matches.push_back(entry->path().string());
  }
  if (error)
    storage::throw_file_error(ErrorCode::kReadFailed, "search the mask folder", folder_,
                              error.value());
  return matches;
}

std::optional<MaskCatalog::Found> MaskCatalog::find(const std::string& tile_name, const Extent3& shape) const {
  if (const auto known = foregrounds_.find(identifier_of(tile_name)); known != foregrounds_.end())
    return Found{unpacked(known->second, shape), true};
  const auto file = find_file(tile_name);
  if (!file) return std::nullopt;
  execution::MemoryBudget::Reservation held;
  BitVolume mask = with_local_copy(*file, stores_, [&](const fs::path& path) {
    // A mask of the level's own shape becomes the foreground, which is reserved already.
    return read_mask_tiff(path, [&](const Extent3& found) {
      if (found != shape) held = memory_.reserve("mask of another shape", BitVolume::bytes_of(found));
    });
  });
  try {
    methods::clean_mask(mask);
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), *file, "segment the tile again, or remove the file");
  }
  if (mask.shape() == shape) return Found{std::move(mask), false};
  return Found{numerics::nearest_resize(mask.view(), shape), false};
}

BitVolume MaskCatalog::unpacked(const PackedMask& known, const Extent3& shape) const {
  if (known.shape() == shape) return known.unpacked();
  const auto held = memory_.reserve("mask of another shape", BitVolume::bytes_of(known.shape()));
  return numerics::nearest_resize(known.unpacked().view(), shape);
}

std::int64_t MaskCatalog::making_bytes(const std::string& tile_name, const Extent3& shape) const {
  try {
    const auto beside = [&](const Extent3& found) { return found == shape ? 0 : BitVolume::bytes_of(found); };
    if (const auto known = foregrounds_.find(identifier_of(tile_name)); known != foregrounds_.end())
      return beside(known->second.shape());
    if (storage::is_remote(folder_)) return 0;
    const auto file = find_file(tile_name);
    return file ? beside(mask_tiff_shape(*file)) : 0;
  } catch (const Error&) {
    return 0;  // what is wrong with the file is told where it is read
  }
}

std::optional<BitVolume> MaskCatalog::foreground(const std::string& tile_name, const Extent3& shape, bool is_shared,
                                                 const std::function<void(BitVolume&)>& restrict,
                                                 execution::ProcessGroup& processes) {
  std::optional<Found> found;
  processes.first_only([&] { found = find(tile_name, shape); });
  if (!processes.ask_first([&] { return found.has_value(); })) return std::nullopt;
  const bool is_known = processes.ask_first([&] { return found->is_known; });
  BitVolume foreground = found ? std::move(found->mask) : BitVolume(shape);
  processes.broadcast(std::as_writable_bytes(foreground.words()));
  if (is_known) return foreground;
  restrict(foreground);
  const std::string identifier = identifier_of(tile_name);
  // A volume that holds nothing says nothing of the tile.
  if ((is_shared || expected_.contains(identifier)) && foreground.view().any()) foregrounds_.emplace(identifier, foreground);
  return foreground;
}

bool MaskCatalog::misses(const std::string& tile_name) const {
  const auto identifier = tile_identifier(tile_name);
  return identifier && expected_.contains(*identifier) && !foregrounds_.contains(*identifier);
}

void MaskCatalog::adopt(const std::string& tile_name, const BitVolume& foreground) {
  if (misses(tile_name) && foreground.view().any()) foregrounds_.emplace(identifier_of(tile_name), foreground);
}

std::optional<BitVolume> MaskCatalog::raw_mask(const std::string& tile_name, const Extent3& shape) const {
  const auto file = find_file(tile_name);
  if (!file) return std::nullopt;
  execution::MemoryBudget::Reservation held;
  BitVolume mask = with_local_copy(*file, stores_, [&](const fs::path& path) {
    return read_mask_tiff(path, [&](const Extent3& found) {
      if (found != shape) held = memory_.reserve("mask of another shape", BitVolume::bytes_of(found));
    });
  });
  return mask.shape() == shape ? std::move(mask) : numerics::nearest_resize(mask.view(), shape);
}

void MaskCatalog::expect(std::span<const std::string> tile_locations) {
  expected_.clear();
  for (const std::string& tile : tile_locations)
    if (const auto identifier = tile_identifier(location_name(tile))) expected_.insert(*identifier);
}

void MaskCatalog::forget_all_but(std::span<const std::string> tile_locations) {
  std::erase_if(foregrounds_, [&](const auto& known) {
    return std::none_of(tile_locations.begin(), tile_locations.end(), [&](const std::string& tile) {
      return tile_identifier(location_name(tile)) == known.first;
    });
  });
  std::int64_t bytes = 0;
  for (const auto& [identifier, mask] : foregrounds_) bytes += mask.bytes();
  held_ = {};
  held_ = memory_.reserve("masks of other tiles", bytes);
}

}  // namespace flatfield::pipeline
