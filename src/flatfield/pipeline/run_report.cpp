#include "flatfield/pipeline/run_report.h"

#include <algorithm>

#include "flatfield/pipeline/json_file.h"

namespace flatfield::pipeline {

void RunReport::add(Json record, int exit) {
  records_.push_back(std::move(record));
  exit_ = exit;
  write();
}

void RunReport::add_overlap(Json overlap, const std::vector<std::string>& warnings) {
  overlap_ = std::move(overlap);
  warnings_.insert(warnings_.end(), warnings.begin(), warnings.end());
  write();
}

void RunReport::end(int exit) {
  exit_ = exit;
  write();
}

Json RunReport::counts() const {
  Json counts = Json::object();
  const auto with_status = [&](const char* status) {
    return std::count_if(records_.begin(), records_.end(), [&](const Json& record) {
      return record.find("status")->as_string() == status;
    });
  };
  for (const char* status : {"corrected", "background_only", "skipped", "failed"}) counts[status] = with_status(status);
  // Of single steps, and of runs that were interrupted.
  for (const char* status : {"estimated", "applied", "interrupted"})
    if (const auto count = with_status(status); count > 0) counts[status] = count;
  return counts;
}

void RunReport::write() const { write_json(path_, document()); }

Json RunReport::document() const {
  Json report;
  report["program"] = "exaspim-flatfield";
  report["version"] = FLATFIELD_VERSION;
  report["counts"] = counts();
  report["warnings"] = Json(warnings_);
  report["tiles"] = Json(Json::Array(records_.begin(), records_.end()));
  report["overlap"] = overlap_;
  report["exit_code"] = exit_;
  return report;
}

}  // namespace flatfield::pipeline
