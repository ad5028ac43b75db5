#include "flatfield/pipeline/tile_result.h"

namespace flatfield::pipeline {

std::string_view status_name(TileStatus status) noexcept {
  switch (status) {
    case TileStatus::kCorrected: return "corrected";
    case TileStatus::kBackgroundOnly: return "background_only";
    case TileStatus::kSkipped: return "skipped";
    case TileStatus::kEstimated: return "estimated";
    case TileStatus::kApplied: return "applied";
  }
  return "corrected";
}

Json outcome_json(const TileResult& result) {
  Json outcome;
  outcome["status"] = status_name(result.status);
  outcome["reason"] = result.reason.empty() ? Json() : Json(result.reason);
  outcome["qc"] = result.quality;
  outcome[kLowMaskKey] = result.low_mask.empty() ? Json() : Json(result.low_mask);
  return outcome;
}

void take_outcome(const Json& outcome, TileResult& result) {
  const Json* status = outcome.is_object() ? outcome.find("status") : nullptr;
  if (status == nullptr || !status->is_string()) return;
  const Json* reason = outcome.find("reason");
  const Json* quality = outcome.find("qc");
  result.finished_as["status"] = *status;
  result.finished_as["reason"] = reason != nullptr && reason->is_string() ? *reason : Json();
  if (quality != nullptr && quality->is_object()) result.quality = *quality;
}

}  // namespace flatfield::pipeline
