#include "flatfield/pipeline/learn_tile.h"

#include <optional>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/learn_quality.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {
namespace {

/// What a QC block (quality_json) says of the numbers that warn or fail, a line each; a block that is none says nothing.
std::vector<std::string> quality_reasons(const Json& quality) {
  std::vector<std::string> texts;
  const Json* reasons = quality.find("reasons");
  if (reasons == nullptr || !reasons->is_array()) return texts;
  for (const Json& reason : reasons->as_array())
    if (reason.is_string()) texts.push_back(reason.as_string());
  return texts;
}

/// Why the quality numbers of a volume fail; none where they do not.
std::optional<std::string> quality_failure(const Json& quality) {
  const Json* verdict = quality.find("verdict");
  if (verdict == nullptr || *verdict != Json(methods::verdict_name(methods::Verdict::kFail))) return std::nullopt;
  const std::vector<std::string> reasons = quality_reasons(quality);
  return "quality: " + (reasons.empty() ? "no reason is given" : reasons.front());
}

/// --on-qc-fail: what becomes of a volume whose quality numbers fail, which were measured on `tile`.
void pass_gate(const std::string& tile, RunContext& context, ModelVolume& volume) {
  const std::optional<std::string> reason = quality_failure(volume.quality);
  if (!reason || volume.gated) return;
  if (context.config.on_qc_fail == "error")
    throw Error(ErrorCode::kQualityFailed, *reason, tile,
                "mend its cause, or choose another --on-qc-fail; nothing was written");
  // What is reduced to its background already stays as it is, and so does the reason for it.
  if (context.config.on_qc_fail != "background-only" || !volume.reason.empty()) return;
  note_warning(volume.learned, *reason + ": background subtraction only", context.log);
  volume.gated = true;
  volume.reason = *reason;
}

}  // namespace

void judge_model(TileModel& model, RunContext& context) {
  for (ModelVolume& volume : model.volumes) {
    for (const std::string& reason : quality_reasons(volume.quality))
      context.log.warning("the model: " + said_of(volume.learned, reason));
    pass_gate(model.tile, context, volume);
  }
}

std::vector<ModelVolume> learn_tile(const LearnRequest& request, RunContext& context,
                                    const std::function<void(ModelVolume&)>& on_learned) {
  const config::RunConfig& config = context.config;
  std::vector<ModelVolume> volumes;
  for (std::int64_t t = 0; t < request.volumes.t; ++t)
    for (std::int64_t c = 0; c < request.volumes.c; ++c) {
      ModelVolume volume;
      volume.id = {t, c};
      volume.learned = learn({request.tile, request.location, request.name, volume.id, request.levels,
                              request.volumes != ome::VolumeId{1, 1}},
                             context);
      volume.reason = volume.learned.fallback;
      volume.has_probability = volume.learned.weights != nullptr;
      volume.quality = quality_json(volume.learned, request.levels, config.skip_bkg_sub ? config.pedestal : 0.0);
      on_learned(volume);
      pass_gate(request.location, context, volume);
      volumes.push_back(std::move(volume));
    }
  return volumes;
}

}  // namespace flatfield::pipeline
