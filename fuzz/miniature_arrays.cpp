#include "miniature_arrays.h"

#include <string>

namespace flatfield::fuzz {

std::shared_ptr<storage::MemoryStore> miniature_array(std::span<const std::string_view> rows,
                                                      Input input) {
  const std::string row(rows[std::to_integer<std::size_t>(input.front()) % rows.size()]);
  const bool is_v3 = rows.data() == kShardCodecs.data();
  auto store = std::make_shared<storage::MemoryStore>();
  if (is_v3)
    storage::put_text(*store, "zarr.json",
                      R"({"zarr_format": 3, "node_type": "array", "shape": [8, 12], "data_type": "uint16",
                          "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8, 12]}},
                          "chunk_key_encoding": {"name": "default"}, "fill_value": 258, "codecs": )" +
                          row + "}");
  else
    storage::put_text(
        *store, ".zarray",
        R"({"zarr_format": 2, "shape": [24, 40], "chunks": [24, 40], "order": "C", "fill_value": 1, )" +
            row + "}");
  store->put(is_v3 ? "c/0/0" : "0.0", input.subspan(1));
  return store;
}

}  // namespace flatfield::fuzz
