#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/storage/store.h"

namespace flatfield::zarr {

/// A node of a hierarchy that has metadata of its own.
struct Node {
  int zarr_format = 2;
  bool is_array = false;

  friend bool operator==(const Node&, const Node&) = default;
};

/// The node at `path` ("" = root of the store); none if there are no metadata. Where metadata of
/// both formats are there, those of format 3 count, or those of `zarr_format` if it is not 0.
/// Throws Error(kBadInput) for a `zarr.json` that describes no node.
[[nodiscard]] std::optional<Node> find_node(const storage::Store& store, std::string_view path,
                                            int zarr_format = 0);

/// Attributes of the group (or array) at `path`; an empty object if it has none. A group need not
/// have metadata of its own as long as there is something below it. Throws Error(kNotFound) if
/// there is nothing at all at `path`. `zarr_format` as in find_node.
[[nodiscard]] Json read_group_attributes(const storage::Store& store, std::string_view path,
                                         int zarr_format = 0);
/// Names of the nodes directly below `path` that consolidated metadata tell of, those of the group
/// itself or of one above it, sorted; none where there are no such metadata. They may be out of
/// date: the nodes need not be there, and there may be others. `zarr_format` as in find_node.
[[nodiscard]] std::vector<std::string> consolidated_children(const storage::Store& store,
                                                             std::string_view path,
                                                             int zarr_format = 0);
/// True if metadata of an array / of a group are at `path`.
[[nodiscard]] bool is_array(const storage::Store& store, std::string_view path);
[[nodiscard]] bool is_group(const storage::Store& store, std::string_view path);

/// A metadata document: its key, and its text.
struct Document {
  std::string key;
  std::string text;
};
/// The document that write_group_attributes writes.
[[nodiscard]] Document group_attributes_document(std::string_view path, int zarr_format,
                                                 const Json& attributes);
/// Keys of the documents of a group, and of an array without attributes.
[[nodiscard]] std::vector<std::string> document_keys(std::string_view path, const Node& node);

/// Writes the metadata of a group without attributes (v2: `.zgroup`, v3: `zarr.json`).
void write_group(storage::Store& store, std::string_view path, int zarr_format);
/// Writes the attributes of a group (v2: `.zattrs`, v3: `zarr.json`); nothing for null.
void write_group_attributes(storage::Store& store, std::string_view path, int zarr_format,
                            const Json& attributes);
/// Removes the attributes of a group, of either format, and with them `zarr.json`: what was written
/// is not taken for finished any more.
void erase_group_attributes(storage::Store& store, std::string_view path);

}  // namespace flatfield::zarr
