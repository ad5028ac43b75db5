#include "flatfield/pipeline/learn_tile.h"

#include "flatfield/core/error.h"
#include "flatfield/pipeline/learn_quality.h"
#include "flatfield/pipeline/learn_stage.h"

namespace flatfield::pipeline {
namespace {

/// --on-qc-fail.
void pass_gate(const LearnRequest& request, RunContext& context, ModelVolume& volume) {
  const auto& quality = volume.learned.quality;
  if (!quality || quality->verdict != methods::Verdict::kFail) return;
  const std::string reason = "quality: " + quality->reasons.front();
  if (context.config.on_qc_fail == "error")
    throw Error(ErrorCode::kQualityFailed, reason, request.location,
                "mend its cause, or choose another --on-qc-fail; nothing was written");
  if (context.config.on_qc_fail != "background-only") return;
  context.log.warning(reason + ": background subtraction only");
  volume.gated = true;
  volume.reason = reason;
}

}  // namespace

std::vector<ModelVolume> learn_tile(const LearnRequest& request, RunContext& context,
                                    const std::function<void(const ModelVolume&)>& on_learned) {
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
      pass_gate(request, context, volume);
      volumes.push_back(std::move(volume));
    }
  return volumes;
}

}  // namespace flatfield::pipeline
