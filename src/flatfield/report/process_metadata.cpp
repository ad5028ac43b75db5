#include "flatfield/report/process_metadata.h"

#include <sys/utsname.h>

#include <algorithm>
#include <fstream>

namespace flatfield::report {
namespace {

constexpr const char* kProcessName = "Image flat-field correction";
// A name that does not promise a place: where the program is published is for its packager to say.
constexpr const char* kCodeUrl = "urn:exaspim-flatfield";

/// Name of the operating system as /etc/os-release gives it.
std::string operating_system() {
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);) {
    const std::string key = "PRETTY_NAME=";
    if (line.rfind(key, 0) != 0) continue;
    line.erase(0, key.size());
    std::erase(line, '"');
    return line;
  }
  return "Linux";
}

std::string architecture() {
  utsname names{};
  if (uname(&names) != 0) return "unknown";
  const std::string machine = names.machine;
  return machine == "x86_64" ? "x86-64" : machine;
}

Json with_allowed_keys(const Json& value) {
  if (value.is_array()) {
    Json out = Json::array();
    for (const Json& element : value.as_array()) out.push_back(with_allowed_keys(element));
    return out;
  }
  if (!value.is_object()) return value;
  Json out = Json::object();
  for (const auto& [key, member] : value.as_object()) {
    std::string allowed = key;
    std::replace_if(
        allowed.begin(), allowed.end(), [](char c) { return c == '.' || c == '$'; }, '_');
    out[allowed] = with_allowed_keys(member);
  }
  return out;
}

}  // namespace

Json process_record(const ProcessFacts& facts) {
  Json asset;
  asset["object_type"] = "Data asset";
  asset["url"] = facts.input_parent;

  Json code;
  code["object_type"] = "Code";
  code["url"] = kCodeUrl;
  code["name"] = "exaspim-flatfield";
  code["version"] = FLATFIELD_VERSION;
  code["language"] = "C++";
  code["language_version"] = "20";
  code["input_data"] = Json(Json::Array{std::move(asset)});
  code["parameters"] = with_allowed_keys(facts.parameters);
  code["parameters"]["output_path"] = facts.output_path;

  Json resources;
  resources["object_type"] = "Resource usage";
  resources["os"] = operating_system();
  resources["architecture"] = architecture();
  resources["cpu_cores"] = facts.cpu_cores;
  resources["ram"] = facts.ram_gigabytes;
  resources["ram_unit"] = "Gigabyte";

  Json record;
  record["object_type"] = "Data process";
  record["process_type"] = kProcessName;
  record["name"] = kProcessName;
  record["stage"] = "Processing";
  record["code"] = std::move(code);
  record["experimenters"] = Json(Json::Array{"unknown"});
  record["start_date_time"] = facts.start_date_time;
  record["end_date_time"] = facts.end_date_time;
  record["output_parameters"] = Json::object();
  record["resources"] = std::move(resources);
  return record;
}

Json process_record_v1(const ProcessFacts& facts) {
  Json record;
  record["name"] = kProcessName;
  record["software_version"] = FLATFIELD_VERSION;
  record["start_date_time"] = facts.start_date_time;
  record["end_date_time"] = facts.end_date_time;
  record["input_location"] = facts.input_parent;
  record["output_location"] = facts.output_path;
  record["code_url"] = kCodeUrl;
  record["code_version"] = FLATFIELD_VERSION;
  record["parameters"] = with_allowed_keys(facts.parameters);
  record["outputs"] = Json::object();
  record["notes"] = Json();
  record["resources"] = Json();
  return record;
}

}  // namespace flatfield::report
