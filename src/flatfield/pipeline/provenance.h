#pragma once

#include <string>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/run_context.h"

namespace flatfield::pipeline {

/// Writes what was done to a tile (docs/formats.md, "Provenance records"): `flatfield_data_process_TILE.json`, or with
/// --metadata-schema 1 `process_NAME_TILE.json` and `metadata_paths_NAME_TILE.json`, NAME being that of OUT's parent.
/// `start_date_time` is ISO 8601 with offset or Z, the end is now; `parameters` is the resolved configuration. Returns the
/// record, which belongs into the attributes of the tile's outputs too. Throws Error(kWriteFailed).
[[nodiscard]] Json write_provenance(const RunContext& context, const std::string& tile_location,
                                    const std::string& start_date_time, const Json& parameters);

}  // namespace flatfield::pipeline
