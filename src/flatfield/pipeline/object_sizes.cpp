#include "flatfield/pipeline/object_sizes.h"

#include <algorithm>
#include <charconv>

#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

constexpr std::size_t kMostOthers = 100;

bool is_hidden(const std::string& key) { return key.starts_with('.') || key.find("/.") != std::string::npos; }

}  // namespace

std::string object_location(const std::vector<zarr::ArrayMetadata>& levels, int level, std::int64_t number) {
  const zarr::ArrayMetadata& metadata = levels[static_cast<std::size_t>(level)];
  const zarr::Shape grid = zarr::object_grid(metadata);
  zarr::Shape index(grid.size());
  for (std::size_t axis = grid.size(); axis-- > 0; number /= grid[axis]) index[axis] = number % grid[axis];
  return storage::join_key(std::to_string(level), zarr::object_key(metadata, index));
}

ObjectSizes::ObjectSizes(const storage::Store& store, const std::vector<zarr::ArrayMetadata>& levels) {
  std::vector<std::string> documents{"zarr.json"};
  for (std::size_t level = 0; level < levels.size(); ++level) {
    bytes_.emplace_back(static_cast<std::size_t>(zarr::object_count(levels[level])));
    documents.push_back(storage::join_key(std::to_string(level), "zarr.json"));
  }
  store.visit_all("", [&](const std::string& key, std::uint64_t bytes) {
    if (is_hidden(key)) return;
    std::size_t level = 0;
    const char* const last = key.data() + key.size();
    const auto [end, error] = std::from_chars(key.data(), last, level);
    if (error == std::errc() && end != last && *end == '/' && level < levels.size()) {
      if (const auto index = zarr::object_index(levels[level], std::string_view(end + 1, last))) {
        const zarr::Shape grid = zarr::object_grid(levels[level]);
        std::size_t number = 0;
        for (std::size_t axis = 0; axis < grid.size(); ++axis)
          number = number * static_cast<std::size_t>(grid[axis]) + static_cast<std::size_t>((*index)[axis]);
        bytes_[level][number] = bytes;
        return;
      }
    }
    if (std::find(documents.begin(), documents.end(), key) == documents.end() && others_.size() < kMostOthers)
      others_.push_back(key);
  });
}

}  // namespace flatfield::pipeline
