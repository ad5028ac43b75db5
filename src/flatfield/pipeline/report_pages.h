#pragma once

#include <span>
#include <string>
#include <vector>

#include "flatfield/config/run_config.h"
#include "flatfield/core/json.h"
#include "flatfield/report/log.h"
#include "flatfield/report/volume_portrait.h"

namespace flatfield::pipeline {

/// What the page of a tile is about.
struct TilePage {
  std::string heading;
  std::string tile;
  std::string file;  ///< its name in the results directory
  Json record;       ///< of the run report
  Json configuration;
  Json facts;        ///< more lines for its head
  std::span<const report::VolumePictures> pictures;
};

/// "TILE_report.html".
[[nodiscard]] std::string report_name(const std::string& tile);

/// Writes the page of a tile to the results directory. What goes wrong is a warning: a report fails no run.
void write_tile_page(const TilePage& page, const config::RunConfig& config, report::Log& log);

/// What the page of a batch shows of a tile: its page, if there is one, and its middle plane.
[[nodiscard]] Json batch_entry(const std::string& tile, std::span<const report::VolumePictures> pictures,
                               const std::string& results_dir);

/// index.html of the results directory.
[[nodiscard]] std::string batch_page_location(const std::string& results_dir);

/// Writes the page of a batch from the run report and an entry for each of its tiles; whether that went well. As above.
bool write_batch_page(const Json& run_report, const std::vector<Json>& entries, const std::string& results_dir,
                      report::Log& log);

}  // namespace flatfield::pipeline
