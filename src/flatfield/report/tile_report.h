#pragma once

#include <string>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/report/html_page.h"

namespace flatfield::report {

/// What the page of a tile shows.
struct TileReport {
  std::string heading;            ///< what the page is, e.g. "Correction report"
  std::string tile;               ///< its name
  std::string created;            ///< ISO 8601
  Json record;                    ///< of the run report: status, warnings, QC blocks, costs
  Json configuration;             ///< resolved
  std::vector<std::string> changed;  ///< keys of the configuration that are not at their default
  Json facts;                     ///< more lines for the head of the page: {name: text}; may be null
  std::vector<Json> volumes;      ///< VolumePictures::portrait of each volume that was learnt
};

/// The page as one HTML file that needs nothing else.
[[nodiscard]] std::string tile_report_html(const TileReport& report, const PageParts& parts = tile_page());

/// The page over all tiles of a batch. `run_report` is the run report; `pages` holds for each of its tiles
/// {"report": file name or null, "before": base64 of a PNG file or null, "after": the same}.
[[nodiscard]] std::string batch_index_html(const Json& run_report, const std::vector<Json>& pages,
                                           const std::string& created, const PageParts& parts = batch_page());

}  // namespace flatfield::report
