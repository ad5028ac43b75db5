#include "flatfield/zarr/group.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/zarr/metadata_io.h"
#include "flatfield/zarr/metadata_v2.h"
#include "flatfield/zarr/metadata_v3.h"

namespace flatfield::zarr {
namespace {

using storage::join_key;
using storage::Store;

bool exists(const Store& store, std::string_view path, std::string_view file) {
  return store.size(join_key(path, file)).has_value();
}

/// True if something is below `path`; where the store cannot list, nothing is known to be.
bool is_folder(const Store& store, std::string_view path) {
  try {
    return !store.list(path).empty();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    return false;
  }
}

/// The file in which zarr-python 2 keeps a copy of all metadata below a group.
constexpr std::string_view kConsolidatedFileV2 = ".zmetadata";

/// The documents that the group at `path` has copies of, by their path from there; null without.
Json read_consolidated(const Store& store, std::string_view path, int zarr_format) {
  if (zarr_format != 2)
    if (const auto text = read_metadata_text(store, path, kNodeFileV3)) {
      const std::string where = store.describe(join_key(path, kNodeFileV3));
      return is_array_v3(*text, where) ? Json() : parse_group_v3(*text, where).consolidated;
    }
  if (zarr_format == 3) return Json();
  const auto text = read_metadata_text(store, path, kConsolidatedFileV2);
  if (!text) return Json();
  try {
    const Json document = Json::parse(*text, store.describe(join_key(path, kConsolidatedFileV2)));
    const Json* nodes = document.find("metadata");
    return nodes != nullptr && nodes->is_object() ? *nodes : Json();
  } catch (const Error& error) {
    // What it copies is there itself.
    if (error.code() != ErrorCode::kBadInput) throw;
    return Json();
  }
}

void check_format(int zarr_format, const std::string& where) {
  if (zarr_format != 2 && zarr_format != 3)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("Zarr format {} cannot be written", zarr_format), where,
                "use Zarr format 2 or 3");
}

}  // namespace

std::optional<Node> find_node(const Store& store, std::string_view path, int zarr_format) {
  if (zarr_format != 2)
    if (const auto text = read_metadata_text(store, path, kNodeFileV3))
      return Node{3, is_array_v3(*text, store.describe(join_key(path, kNodeFileV3)))};
  if (zarr_format != 3) {
    if (exists(store, path, kArrayFileV2)) return Node{2, true};
    if (exists(store, path, kGroupFileV2)) return Node{2, false};
  }
  return std::nullopt;
}

Json read_group_attributes(const Store& store, std::string_view path, int zarr_format) {
  const auto text_v3 =
      zarr_format == 2 ? std::nullopt : read_metadata_text(store, path, kNodeFileV3);
  if (text_v3) {
    const std::string where = store.describe(join_key(path, kNodeFileV3));
    return is_array_v3(*text_v3, where) ? parse_array_v3(*text_v3, where).attributes
                                        : parse_group_v3(*text_v3, where).attributes;
  }
  if (const auto text = read_metadata_text(store, path, kAttributesFileV2))
    return parse_attributes_v2(*text, store.describe(join_key(path, kAttributesFileV2)));
  if (!find_node(store, path, 2) && !is_folder(store, path))
    throw Error(ErrorCode::kNotFound, "there is no Zarr group", store.describe(path),
                "check the name");
  return Json::object();
}

std::vector<std::string> consolidated_children(const Store& store, std::string_view path,
                                               int zarr_format) {
  std::set<std::string> names;
  std::string_view above = path;
  for (;;) {
    const std::string_view rest =
        path.substr(std::min(path.size(), above.empty() ? 0 : above.size() + 1));
    const std::string start = rest.empty() ? "" : std::string(rest) + "/";
    const Json nodes = read_consolidated(store, above, zarr_format);
    if (nodes.is_object())
      for (const auto& [key, document] : nodes.as_object()) {
        if (!key.starts_with(start)) continue;
        const std::string name =
            key.substr(start.size(), key.find('/', start.size()) - start.size());
        // ".zarray" and the like are files of the group itself.
        if (!name.empty() && name.front() != '.') names.insert(name);
      }
    if (!names.empty() || above.empty()) return {names.begin(), names.end()};
    above = above.substr(0, above.find('/') == std::string_view::npos ? 0 : above.rfind('/'));
  }
}

bool is_array(const Store& store, std::string_view path) {
  const std::optional<Node> node = find_node(store, path);
  return node && node->is_array;
}

bool is_group(const Store& store, std::string_view path) {
  const std::optional<Node> node = find_node(store, path);
  return node && !node->is_array;
}

void write_group(Store& store, std::string_view path, int zarr_format) {
  check_format(zarr_format, store.describe(path));
  if (zarr_format == 2)
    write_metadata_text(store, join_key(path, kGroupFileV2), print_group_v2());
  else
    write_metadata_text(store, join_key(path, kNodeFileV3), print_group_v3(Json::object()));
}

void write_group_attributes(Store& store, std::string_view path, int zarr_format,
                            const Json& attributes) {
  check_format(zarr_format, store.describe(path));
  if (attributes.is_null()) return;
  if (!attributes.is_object())
    throw Error(ErrorCode::kUsage,
                fmt::format("the attributes are {}, expected an object", attributes.type_name()),
                store.describe(path));
  const Document document = group_attributes_document(path, zarr_format, attributes);
  write_metadata_text(store, document.key, document.text);
}

Document group_attributes_document(std::string_view path, int zarr_format, const Json& attributes) {
  if (zarr_format == 2) return {join_key(path, kAttributesFileV2), print_attributes_v2(attributes)};
  return {join_key(path, kNodeFileV3), print_group_v3(attributes)};
}

std::vector<std::string> document_keys(std::string_view path, const Node& node) {
  if (node.zarr_format == 3) return {join_key(path, kNodeFileV3)};
  if (node.is_array) return {join_key(path, kArrayFileV2)};
  return {join_key(path, kGroupFileV2), join_key(path, kAttributesFileV2)};
}

void erase_group_attributes(Store& store, std::string_view path) {
  store.erase(join_key(path, kAttributesFileV2));
  store.erase(join_key(path, kNodeFileV3));
}

}  // namespace flatfield::zarr
