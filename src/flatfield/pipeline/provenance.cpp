#include "flatfield/pipeline/provenance.h"

#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/report/log.h"
#include "flatfield/report/process_metadata.h"

namespace flatfield::pipeline {

Json write_provenance(const ProvenanceRequest& request) {
  report::ProcessFacts facts;
  // Whoever reads it later does not know the folder that the run was started in.
  const std::string tile_location = absolute_location(request.tile_location);
  const std::string output = absolute_location(request.output);
  facts.input_parent = location_parent(tile_location);
  facts.output_path = request.output;  // as in the parameters
  facts.start_date_time = request.start_date_time;
  facts.end_date_time = report::utc_timestamp();
  facts.parameters = request.parameters;
  facts.cpu_cores = request.cpu_cores;
  facts.ram_gigabytes = static_cast<double>(request.memory_bytes >> 20) / 1024.0;

  const std::string tile = location_name(tile_location);
  const std::string folder = request.results_dir + "/";
  if (request.schema == 2) {
    Json record = report::process_record(facts);
    write_json(folder + "flatfield_data_process_" + tile + ".json", record);
    return record;
  }
  const std::string output_parent = location_parent(output);
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
