#include "flatfield/pipeline/provenance.h"

#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/report/log.h"
#include "flatfield/report/process_metadata.h"

namespace flatfield::pipeline {

Json write_provenance(const RunContext& context, const std::string& tile_location, const std::string& start_date_time,
                      const Json& parameters) {
  const config::RunConfig& config = context.config;
  // Whoever reads it later does not know the folder that the run was started in.
  const std::string input = absolute_location(tile_location);
  const std::string output = trimmed_location(config.output);
  report::ProcessFacts facts;
  facts.input_parent = location_parent(input);
  facts.output_path = output;  // as in the parameters
  facts.start_date_time = start_date_time;
  facts.end_date_time = report::utc_timestamp();
  facts.parameters = parameters;
  facts.cpu_cores = context.pool.workers();
  facts.ram_gigabytes = static_cast<double>(context.memory.limit_bytes() >> 20) / 1024.0;

  const std::string tile = location_name(input);
  const std::string folder = config.results_dir + "/";
  if (config.metadata_schema == 2) {
    Json record = report::process_record(facts);
    write_json(folder + "flatfield_data_process_" + tile + ".json", record);
    return record;
  }
  const std::string output_parent = location_parent(absolute_location(output));
  const std::string suffix = "_" + location_name(output_parent) + "_" + tile + ".json";
  Json record = report::process_record_v1(facts);
  write_json(folder + "process" + suffix, record);
  Json paths;
  paths["input_metadata"] = location_parent(facts.input_parent);
  paths["output_metadata"] = output_parent;
  write_json(folder + "metadata_paths" + suffix, paths);
  return record;
}

}  // namespace flatfield::pipeline
