#pragma once

#include <cstdint>
#include <string>

#include "flatfield/core/json.h"

namespace flatfield::pipeline {

/// What the provenance of one tile says, and where it goes (outputs.md, "Provenance").
struct ProvenanceRequest {
  std::string tile_location;
  std::string output;           ///< of the run: --output
  std::string results_dir;
  int schema = 2;               ///< --metadata-schema: 1 or 2
  std::string start_date_time;  ///< ISO 8601 with offset or Z; the end is now
  Json parameters;              ///< the resolved configuration
  int cpu_cores = 1;
  std::int64_t memory_bytes = 0;
};

/// Writes `flatfield_data_process_TILE.json`, or for schema 1 `process_NAME_TILE.json` and
/// `metadata_paths_NAME_TILE.json`, NAME being that of OUT's parent. Returns the record, which belongs into the
/// attributes of the tile's outputs too. Throws Error(kWriteFailed).
[[nodiscard]] Json write_provenance(const ProvenanceRequest& request);

}  // namespace flatfield::pipeline
