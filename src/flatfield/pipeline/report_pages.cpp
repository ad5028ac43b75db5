#include "flatfield/pipeline/report_pages.h"

#include <exception>
#include <filesystem>
#include <span>
#include <system_error>

#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/report/tile_report.h"

namespace flatfield::pipeline {
namespace {

/// Keys of a configuration that are not at their default.
std::vector<std::string> changed_keys(const Json& configuration) {
  const config::RunConfig usual_config;
  const Json defaults = config::resolved_config(usual_config);
  std::vector<std::string> changed;
  for (const auto& [key, value] : configuration.as_object()) {
    const Json* usual = defaults.find(key);
    if (usual == nullptr || !(*usual == value)) changed.push_back(key);
  }
  return changed;
}

void write_page(const std::string& path, const std::string& html) {
  write_result_file(path, std::as_bytes(std::span(html)));
}

}  // namespace

std::string report_name(const std::string& tile) { return tile + "_report.html"; }

std::string batch_page_location(const std::string& results_dir) { return join_location(results_dir, "index.html"); }

void write_tile_page(const TilePage& page, const config::RunConfig& config, report::Log& log) {
  try {
    report::TileReport report;
    report.heading = page.heading;
    report.tile = page.tile;
    report.created = report::utc_timestamp();
    report.record = page.record;
    report.configuration = page.configuration;
    report.changed = changed_keys(page.configuration);
    report.facts = page.facts;
    for (const report::VolumePictures& pictures : page.pictures) report.volumes.push_back(pictures.portrait);
    const std::string path = join_location(config.results_dir, page.file);
    write_page(path, report::tile_report_html(report));
    log.info("report: " + path);
  } catch (const std::exception& error) {
    log.warning(std::string("the report is not written: ") + error.what());
  }
}

Json batch_entry(const std::string& tile, std::span<const report::VolumePictures> pictures,
                 const std::string& results_dir) {
  Json entry;
  std::error_code unknown;
  const bool has_page = std::filesystem::exists(join_location(results_dir, report_name(tile)), unknown);
  entry["report"] = has_page ? Json(report_name(tile)) : Json();
  entry["before"] = pictures.empty() ? Json() : pictures.front().before;
  entry["after"] = pictures.empty() ? Json() : pictures.front().after;
  return entry;
}

bool write_batch_page(const Json& run_report, const std::vector<Json>& entries, const std::string& results_dir,
                      report::Log& log) {
  try {
    write_page(batch_page_location(results_dir), report::batch_index_html(run_report, entries, report::utc_timestamp()));
    return true;
  } catch (const std::exception& error) {
    log.warning(std::string("the page of the batch is not written: ") + error.what());
    return false;
  }
}

}  // namespace flatfield::pipeline
