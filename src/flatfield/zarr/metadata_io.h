#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "flatfield/core/stage_clock.h"
#include "flatfield/storage/store.h"

namespace flatfield::zarr {

/// The text of a metadata file below `path`, as part of the time spent reading.
[[nodiscard]] inline std::optional<std::string> read_metadata_text(const storage::Store& store,
                                                                   std::string_view path,
                                                                   std::string_view file) {
  const StageScope reading(Stage::kRead);
  auto text = storage::get_text(store, storage::join_key(path, file));
  if (text) count_bytes_read(static_cast<std::int64_t>(text->size()));
  return text;
}

inline void write_metadata_text(storage::Store& store, const std::string& key,
                                std::string_view text) {
  const StageScope writing(Stage::kWrite);
  storage::put_text(store, key, text);
  count_bytes_written(static_cast<std::int64_t>(text.size()));
}

}  // namespace flatfield::zarr
