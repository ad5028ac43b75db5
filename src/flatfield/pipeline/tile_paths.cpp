#include "flatfield/pipeline/tile_paths.h"

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <string_view>

#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

/// Length of the digits that `text` starts with.
std::size_t leading_digits(std::string_view text) {
  const auto end =
      std::find_if(text.begin(), text.end(), [](char c) { return c < '0' || c > '9'; });
  return static_cast<std::size_t>(end - text.begin());
}

/// Length of the start of `text` that consists of the labels, each followed by digits; 0 if it does
/// not.
std::size_t match_numbered(std::string_view text, std::initializer_list<std::string_view> labels) {
  std::size_t length = 0;
  for (const std::string_view label : labels) {
    if (text.substr(length, label.size()) != label) return 0;
    length += label.size();
    const std::size_t digits = leading_digits(text.substr(length));
    if (digits == 0) return 0;
    length += digits;
  }
  return length;
}

/// Length of "s3://" of a URL, above which there is nothing; 0 for a path.
std::size_t root_length(std::string_view location) {
  const std::size_t scheme = location.find("://");
  return scheme == std::string_view::npos ? 0 : scheme + 3;
}

/// The path of a location of this machine, which may be a file:// URL.
std::string local_path(const std::string& location) {
  return trimmed_location(location.substr(root_length(location)));
}

}  // namespace

std::string trimmed_location(const std::string& location) {
  std::string trimmed = location;
  const std::size_t shortest = std::max<std::size_t>(1, root_length(location));
  while (trimmed.size() > shortest && trimmed.back() == '/') trimmed.pop_back();
  return trimmed;
}

std::string location_name(const std::string& location) {
  const std::string trimmed = trimmed_location(location);
  return trimmed.substr(trimmed.find_last_of('/') + 1);
}

std::string location_parent(const std::string& location) {
  const std::string trimmed = trimmed_location(location);
  const std::size_t slash = trimmed.find_last_of('/');
  if (slash == std::string::npos) return ".";
  if (slash < root_length(trimmed)) return trimmed;
  return trimmed_location(trimmed.substr(0, slash == 0 ? 1 : slash));
}

std::string join_location(const std::string& parent, const std::string& name) {
  const std::string trimmed = trimmed_location(parent);
  return trimmed == "/" ? trimmed + name : trimmed + "/" + name;
}

std::string absolute_location(const std::string& location) {
  if (storage::is_remote(location)) return location;
  return trimmed_location(fs::absolute(local_path(location)).lexically_normal().string());
}

std::string named_location(const std::string& location) {
  if (location.empty() || storage::is_remote(location)) return location;
  const std::string name = location_name(location);
  return name == "." || name == ".." ? fs::weakly_canonical(fs::absolute(local_path(location))).string() : location;
}

bool lies_within(const std::string& location, const std::string& folder) {
  if (storage::is_remote(location) || storage::is_remote(folder)) {
    const std::string above = trimmed_location(folder) + "/";
    return (trimmed_location(location) + "/").starts_with(above);
  }
  const fs::path inner = fs::weakly_canonical(fs::absolute(local_path(location)));
  const fs::path outer = fs::weakly_canonical(fs::absolute(local_path(folder)));
  if (std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end()) return true;
  // One folder may have two names: that of a mount, or one in other letters where these make no difference.
  for (fs::path above = inner;; above = above.parent_path()) {
    std::error_code absent;
    if (fs::equivalent(above, outer, absent)) return true;
    if (above == above.parent_path()) return false;
  }
}

OutputLocations output_locations(const std::string& output, const std::string& tile_name) {
  const std::string out = trimmed_location(output);
  const std::string parent = location_parent(out);
  const bool names_the_tile = location_name(out) == tile_name;
  const auto beside = [&](const std::string& product) {
    const std::string folder = join_location(parent, product);
    return names_the_tile ? join_location(folder, tile_name)
                          : join_location(join_location(folder, location_name(out)), tile_name);
  };
  return {names_the_tile ? out : join_location(out, tile_name), beside("mask"), beside("probability")};
}

std::optional<std::string> tile_identifier(const std::string& name) {
  const std::string_view text = name;
  for (std::size_t at = text.find("tile_"); at != std::string_view::npos;
       at = text.find("tile_", at + 1)) {
    std::size_t length = match_numbered(text.substr(at), {"tile_x_", "_y_", "_z_"});
    if (length == 0) length = match_numbered(text.substr(at), {"tile_"});
    if (length != 0) return name.substr(at, length);
  }
  return std::nullopt;
}

std::optional<std::string> tile_channel(const std::string& name) {
  const std::string_view text = name;
  for (std::size_t at = text.find("_ch"); at != std::string_view::npos;
       at = text.find("_ch", at + 1)) {
    std::size_t start = at + 3;
    if (start < text.size() && text[start] == '_') ++start;
    const std::size_t digits = leading_digits(text.substr(start));
    if (digits != 0) return name.substr(start, digits);
  }
  return std::nullopt;
}

}  // namespace flatfield::pipeline
