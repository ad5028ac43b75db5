#include "flatfield/pipeline/learned_results.h"

#include <string>

#include "flatfield/pipeline/curve_plots.h"
#include "flatfield/pipeline/results.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_portrait.h"

namespace flatfield::pipeline {

void LearnedResults::save(const ModelVolume& volume) const {
  if (!context_.config.save_outputs || !context_.processes.is_first()) return;
  const std::string& folder = context_.config.results_dir;
  const std::string label = input_.label(volume.id);
  write_diagnostic("what was learnt", context_.log, [&] {
    remove_learned(folder, label);
    save_learned(folder, label, volume.learned);
  });
  save_curve_plots(join_location(folder, label), label, volume.learned, context_.log);
}

void LearnedResults::save(const TileModel& model) const {
  for (const ModelVolume& volume : model.volumes) save(volume);
}

void LearnedResults::remove_overwritten(const TileModel& model) const {
  const config::RunConfig& config = context_.config;
  if (!config.overwrite || config.save_outputs || !context_.processes.is_first()) return;
  for (const ModelVolume& volume : model.volumes)
    write_diagnostic("the results directory", context_.log,
                     [&] { remove_learned(config.results_dir, input_.label(volume.id)); });
}

void LearnedResults::dump(const ModelVolume& volume) const {
  if (context_.config.dump_learned.empty() || !context_.processes.is_first()) return;
  dump_learned(context_.config.dump_learned, volume.learned);
}

std::optional<report::VolumePictures> LearnedResults::pictures(const ModelVolume& volume) const {
  if (!config::writes_report(context_.config) || !context_.processes.is_first()) return std::nullopt;
  const PortraitRequest request{input_.tile(), input_.levels().estimation, input_.levels().target, volume.id,
                                input_.label(volume.id)};
  return try_pictures(request, volume.learned, context_);
}

void LearnedResults::mark_rejected(const TileModel& model, std::vector<report::VolumePictures>& pictures) const {
  for (report::VolumePictures& picture : pictures)
    for (const ModelVolume& volume : model.volumes)
      if (volume.gated && *picture.portrait.find("label") == Json(input_.label(volume.id))) picture.portrait["rejected"] = true;
}

}  // namespace flatfield::pipeline
