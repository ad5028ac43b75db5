#include "flatfield/pipeline/image_streaming.h"

#include <optional>

#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/report/progress.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {
namespace {

std::int64_t part_bytes(const RunContext& context) {
  if (!storage::is_remote(context.config.output)) return 0;
  return static_cast<std::int64_t>(s3_options(context.config, context.memory.limit_bytes()).part_bytes);
}

/// Memory that is held while a pyramid is written.
struct HeldMemory {
  HeldMemory(RunContext& context, const OutputPlan& plan, std::int64_t source_bytes)
      : memory(stream_memory(plan, source_bytes, context.pool.workers(), part_bytes(context))),
        workers(context.memory.reserve("workers", memory.workers_bytes)),
        items(context.memory.reserve("items", memory.items_bytes(context.memory.free_bytes()))),
        items_bytes(memory.without_uploads(items.bytes())) {}
  StreamMemory memory;
  execution::MemoryBudget::Reservation workers;
  execution::MemoryBudget::Reservation items;
  std::int64_t items_bytes;
};

}  // namespace

template <class T>
void ImageStreaming::first_pass(VoxelSource<T>& source, const PyramidTarget& target, const OutputPlan& plan,
                                const Share& share, std::int64_t source_bytes) {
  const HeldMemory held(context_, plan, source_bytes);
  std::optional<report::Progress> progress;
  write_first_pass(source, target, share,
                   {context_.pool, context_.processes, held.items_bytes, items_,
                    [&](std::int64_t bytes) { progress.emplace(context_.log, target.name, bytes); },
                    [&](const execution::WorkItem& item) { progress->advance(item.voxel_bytes()); }});
}

template <class T>
void ImageStreaming::later_passes(const PyramidTarget& target, const OutputPlan& plan) {
  const HeldMemory held(context_, plan, 0);
  write_later_passes<T>(target, {context_.pool, context_.processes, held.items_bytes, items_, {}, {}});
}

template <class T>
void ImageStreaming::pyramid(VoxelSource<T>& source, const PyramidTarget& target, const OutputPlan& plan) {
  const HeldMemory held(context_, plan, 0);
  write_pyramid(source, target, context_.pool, held.items_bytes, {});
}

template void ImageStreaming::first_pass(VoxelSource<std::uint8_t>&, const PyramidTarget&, const OutputPlan&,
                                         const Share&, std::int64_t);
template void ImageStreaming::first_pass(VoxelSource<std::uint16_t>&, const PyramidTarget&, const OutputPlan&,
                                         const Share&, std::int64_t);
template void ImageStreaming::first_pass(VoxelSource<float>&, const PyramidTarget&, const OutputPlan&, const Share&,
                                         std::int64_t);
template void ImageStreaming::later_passes<std::uint8_t>(const PyramidTarget&, const OutputPlan&);
template void ImageStreaming::later_passes<std::uint16_t>(const PyramidTarget&, const OutputPlan&);
template void ImageStreaming::later_passes<float>(const PyramidTarget&, const OutputPlan&);
template void ImageStreaming::pyramid(VoxelSource<std::uint8_t>&, const PyramidTarget&, const OutputPlan&);

}  // namespace flatfield::pipeline
