#include "flatfield/pipeline/run_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "flatfield/config/basic_config.h"
#include "flatfield/config/fitting_config.h"
#include "flatfield/core/error.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;
using config::RunConfig;

constexpr const char* kTileListFolder = "../data";

/// Batch systems set these for every job, so a value that makes no sense is no reason to stop.
void apply_environment(const Environment& environment, RunConfig& config) {
  const auto apply = [&](const char* name, const char* key) {
    const std::optional<std::string> text = non_empty(environment, name);
    if (!text) return;
    for (const auto& row : config::run_table()) {
      if (row.key != key) continue;
      try {
        row.set(config, config::parse_argument(row.kind, *text));
      } catch (const std::invalid_argument& reason) {
        config.notices.push_back(fmt::format("{}: {}, found \"{}\": ignored", name, reason.what(), *text));
      }
    }
  };
  apply("CO_CPUS", "num_workers");
  apply("CO_MEMORY", "memory_limit");
}

void apply_config_file(const Json& object, const std::string& path, RunConfig& config) {
  config::read_object(config::run_table(), object, path, config);
  for (const auto& row : config::run_table())
    if (row.use == config::OptionUse::kIgnored && object.find(row.key) != nullptr)
      config.notices.push_back(fmt::format("{}: the key {} of the Python program has no effect", path, row.key));
}

/// The first `tile_*.json` of a folder in sorted order.
std::optional<std::string> find_tile_list(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.rfind("tile_", 0) == 0 && entry->path().extension() == ".json")
      found.push_back(entry->path().string());
  }
  if (found.empty()) return std::nullopt;
  return *std::min_element(found.begin(), found.end());
}

/// A tile list of the acquisition pipeline: its keys, and the options they stand for.
void apply_tile_list(const Json& object, const std::string& path, RunConfig& config) {
  constexpr std::pair<const char*, const char*> kKeys[] = {{"tile_paths", "tile_paths"},
                                                           {"output_zarr", "output"},
                                                           {"method", "method"},
                                                           {"resolution", "res"},
                                                           {"binned_channel", "binned_channel"}};
  Json options = Json::object();
  const ObjectReader reader(object, path);
  for (const auto& [key, value] : object.as_object()) {
    const auto* known = std::find_if(std::begin(kKeys), std::end(kKeys),
                                     [&, &name = key](const auto& pair) { return name == pair.first; });
    if (known == std::end(kKeys))
      config.notices.push_back(fmt::format("{}: the key {} is not used", path, key));
    else if (!value.is_null())
      options[known->second] = value;
  }
  config::read_object(config::run_table(), options, path, config);
  config.notices.push_back("tiles are taken from " + path);
}

}  // namespace

RunConfig resolve_run(const std::function<void(RunConfig&)>& command_line,
                      const Environment& environment) {
  RunConfig typed;
  command_line(typed);
  Json file;
  if (!typed.config.empty()) {
    // The options of S3 that the file itself may hold are for what comes after it.
    storage::StoreOpener stores(s3_options(typed));
    file = read_json(typed.config, "check --config", stores);
  }

  storage::StoreOpener local;
  const auto put_together = [&](const std::optional<std::string>& tile_list) {
    RunConfig config;
    apply_environment(environment, config);
    if (tile_list)
      apply_tile_list(read_json(*tile_list, "check the file, or name a tile with --zarr", local), *tile_list,
                      config);
    if (!typed.config.empty()) apply_config_file(file, typed.config, config);
    command_line(config);
    return config;
  };
  RunConfig config = put_together(std::nullopt);
  if (config.zarr.empty() && config.tile_paths.empty())
    if (const auto tile_list = find_tile_list(kTileListFolder)) config = put_together(tile_list);

  if (!config.fitting_config.empty() || !config.basic_config.empty()) {
    storage::StoreOpener stores(s3_options(config));
    if (!config.fitting_config.empty())
      config.fitting = config::read_fitting_config(
          read_json(config.fitting_config, "check --fitting-config", stores), config.fitting_config);
    if (!config.basic_config.empty())
      config.basic = config::read_basic_config(
          read_json(config.basic_config, "check --basic-config", stores), config.basic_config);
  }
  config.output = named_location(config.output);
  return config;
}

}  // namespace flatfield::pipeline
