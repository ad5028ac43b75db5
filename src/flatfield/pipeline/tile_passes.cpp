#include "flatfield/pipeline/tile_passes.h"

#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/foreground_weights.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

void write_corrected(const TilePasses& passes, TileModel& model) {
  const auto& [context, input, places, plans, streaming] = passes;
  const ome::Tile tile = input.for_streaming(context);
  const Extent3 mask_shape = model.has_mask() ? input.tile().spatial_shape(input.levels().estimation) : Extent3{};
  const std::int64_t source_bytes = corrected_source_bytes(input.array().metadata(), plans.corrected, mask_shape,
                                                           storage::is_remote(input.location()));
  for (ModelVolume& volume : model.volumes) {
    make_applicable(volume, input.shape(), context.pool.as_parallel_for());
    const methods::CorrectionKernel kernel(volume.learned.correction);
    const auto source = corrected_source(tile.open_volume(input.levels().target, volume.id), kernel, context.pool.workers());
    streaming.first_pass(*source, places.corrected(plans).target(volume.id, "corrected"), plans.corrected, context.share,
                         source_bytes);
  }
  if (const ModelVolume* masked = model.masked()) {
    const methods::CorrectionKernel kernel(masked->learned.correction);
    streaming.first_pass(*mask_source(kernel), places.mask(plans).target({}, "mask"), plans.mask, context.share, 0);
  }
}

void write_probability(const TilePasses& passes, TileModel& model, const MemoryFacts& memory) {
  const auto& [context, input, places, plans, streaming] = passes;
  for (ModelVolume& volume : model.volumes) {
    const PyramidTarget target = probability_target(passes, volume.id);
    if (!volume.learned.weights) {
      streaming.first_pass(*no_foreground_source(), target, plans.probability, {}, 0);
      continue;
    }
    const auto kept =
        context.memory.reserve("estimation level", probability_level_bytes(memory, context.memory.free_bytes()));
    const auto source =
        foreground_source(*volume.learned.weights, input.tile().open_volume(input.levels().estimation, volume.id),
                          kept.bytes() > 0 ? LevelPlace::kMemory : LevelPlace::kStore, volume.learned.correction, context.pool);
    streaming.first_pass(*source, target, plans.probability, {},
                         foreground_source_bytes(context.config.fitting, memory.estimation, plans.probability));
    volume.learned.weights.reset();
  }
}

PyramidTarget probability_target(const TilePasses& passes, ome::VolumeId id) {
  PyramidTarget target = passes.places.probability(passes.plans).target(id, "probability");
  target.is_learnt = true;
  return target;
}

bool lacks_probability(const TilePasses& passes, const TileModel& model) {
  if (!model.has_probability()) return false;
  for (const ModelVolume& volume : model.volumes) {
    const PyramidTarget target = probability_target(passes, volume.id);
    if (passes.context.processes.ask_first([&] { return !open_items(target).empty(); })) return true;
  }
  return false;
}

}  // namespace flatfield::pipeline
