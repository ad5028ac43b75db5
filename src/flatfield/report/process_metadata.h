#pragma once

#include <string>

#include "flatfield/core/json.h"

namespace flatfield::report {

/// What the provenance record of one tile says beyond constants (docs/formats.md, "Provenance records").
struct ProcessFacts {
  std::string input_parent;     ///< folder or URL that holds the tile
  std::string output_path;      ///< folder or URL that the run writes corrected tiles to
  std::string start_date_time;  ///< ISO 8601 with offset or Z
  std::string end_date_time;
  Json parameters;              ///< the whole resolved configuration
  int cpu_cores = 1;
  double ram_gigabytes = 0.0;
};

/// One aind-data-schema DataProcess (schema 2.0.5 to 2.7.1). Keys of `parameters` that hold "." or "$", which
/// the schema forbids, have them replaced by "_".
[[nodiscard]] Json process_record(const ProcessFacts& facts);

/// The same in the form of schema 1 (--metadata-schema 1).
[[nodiscard]] Json process_record_v1(const ProcessFacts& facts);

}  // namespace flatfield::report
