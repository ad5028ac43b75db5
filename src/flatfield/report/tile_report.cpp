#include "flatfield/report/tile_report.h"

#include "flatfield/report/quality_guide.h"

namespace flatfield::report {

std::string tile_report_html(const TileReport& report, const PageParts& parts) {
  Json data;
  data["program"] = "exaspim-flatfield";
  data["version"] = FLATFIELD_VERSION;
  data["heading"] = report.heading;
  data["tile"] = report.tile;
  data["created"] = report.created;
  data["facts"] = report.facts;
  data["record"] = report.record;
  data["guide"] = quality_guide();
  data["configuration"] = report.configuration;
  data["changed"] = Json(report.changed);
  data["volumes"] = Json(Json::Array(report.volumes.begin(), report.volumes.end()));
  return fill_page(parts, report.tile + " – " + report.heading, data);
}

std::string batch_index_html(const Json& run_report, const std::vector<Json>& pages, const std::string& created,
                             const PageParts& parts) {
  Json data;
  data["created"] = created;
  data["run"] = run_report;
  data["pages"] = Json(Json::Array(pages.begin(), pages.end()));
  return fill_page(parts, "Corrected tiles", data);
}

}  // namespace flatfield::report
