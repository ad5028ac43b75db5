#include "flatfield/pipeline/tile_memory.h"

#include <algorithm>

#include "flatfield/core/bit_volume.h"
#include "flatfield/pipeline/chunk_readings.h"
#include "flatfield/pipeline/foreground_weights.h"
#include "flatfield/pipeline/mask_catalog.h"
#include "flatfield/pipeline/pass_memory.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/storage/open_store.h"
#include "flatfield/zarr/codec_memory.h"
#include "flatfield/zarr/shard_reader.h"

namespace flatfield::pipeline {
namespace {

using execution::MemoryNeed;
using execution::StageNeeds;

constexpr std::int64_t kMebibyte = 1 << 20;
/// Code and data of the program and its libraries as far as they are touched (measured: 16 MiB), and the allocator's.
constexpr std::int64_t kProcessBytes = 20 * kMebibyte;
/// Stack of a thread, and what the allocator keeps for it.
constexpr std::int64_t kThreadBytes = kMebibyte;
/// Parts of an upload that are in memory at once (storage/s3_upload.h).
constexpr std::int64_t kPartsHeld = 3;

std::int64_t plane_bytes(const Extent3& shape) {
  return shape.y * shape.x * static_cast<std::int64_t>(sizeof(float));
}

/// Samples of a mask's axis that `length` voxels in a row get theirs from, at most, where `target` of them get `low`.
std::int64_t most_sources(std::int64_t length, std::int64_t low, std::int64_t target) {
  return low == target ? length : std::min(low, ceil_div(length * low, target) + 1);
}

/// Rows of the mask as they are laid out for the voxels of a cell that are corrected at once (CorrectionKernel::Scratch).
std::int64_t mask_row_bytes(const Extent3& mask, const Extent3& target, const Extent3& cell) {
  if (mask.empty()) return 0;
  const std::int64_t planes = std::min(
      cell.z, slab_planes(cell.y * cell.x * static_cast<std::int64_t>(sizeof(std::uint16_t))));
  return most_sources(planes, mask.z, target.z) * most_sources(cell.y, mask.y, target.y) *
         (cell.x * static_cast<std::int64_t>(sizeof(std::uint32_t)) + 1);
}

/// The list of a pass's items, and what is known of where chunks are in the shards of the input: nothing for most tiles, tens
/// of megabytes for millions of chunks.
std::int64_t bookkeeping_bytes(const MemoryFacts& facts) {
  constexpr std::int64_t kItemBytes = 384;
  const OutputPlan& corrected = facts.outputs.corrected;
  const Extent3 item = ItemGeometry(corrected.chunk_shape, corrected.shard_shape).item;
  std::int64_t bytes = kItemBytes * ceil_div(corrected.shape, item).volume();
  if (!facts.input.is_sharded()) return bytes;
  std::int64_t index = sizeof(storage::ByteRange);
  for (const std::int64_t chunks : facts.input.chunks_per_object()) index *= chunks;
  // Those that are kept, and one that each worker reads.
  return bytes + std::max(index, std::min(zarr::kMostIndexBytes, 16 * zarr::chunk_count(facts.input))) +
         facts.workers * index;
}

std::int64_t volume_count(const OutputPlan& plan) { return plan.volumes.t * plan.volumes.c; }

/// Passes of an output, with the parts of its uploads.
StageNeeds stage_of(const std::string& name, const StreamMemory& stream, std::vector<MemoryNeed> standing,
                    std::int64_t items_bytes) {
  standing.push_back({"workers", stream.workers_bytes});
  standing.push_back({"items", items_bytes});
  return {name, std::move(standing)};
}

/// Of the foreground probabilities of a volume, from when they are found to when their image is written.
std::int64_t weight_bytes(const MemoryFacts& facts) {
  return facts.refines ? held_weight_bytes(spatial(facts.estimation.shape), facts.config.fitting) : 0;
}

/// Those of all volumes but the last, which are held while that is learnt.
std::int64_t earlier_weight_bytes(const MemoryFacts& facts) {
  return (volume_count(facts.outputs.corrected) - 1) * weight_bytes(facts);
}

std::int64_t probability_source_bytes(const MemoryFacts& facts, double stored_share) {
  return foreground_source_bytes(facts.config.fitting, facts.estimation, facts.outputs.probability, stored_share);
}

/// For the background image at least; 0 where none is made.
std::int64_t median_bytes(const MemoryFacts& facts, double stored_share) {
  if (!facts.learns) return 0;
  return background_median_bytes(facts.config, facts.input, facts.workers, facts.is_input_remote, stored_share);
}

/// What is held all the time, the process included.
std::vector<MemoryNeed> all_standing_needs(const MemoryFacts& facts) {
  std::vector<MemoryNeed> standing{process_need(facts.workers)};
  for (MemoryNeed& need : standing_needs(facts)) standing.push_back(std::move(need));
  if (facts.kept_mask_bytes > 0) standing.push_back({"masks of other tiles", facts.kept_mask_bytes});
  return standing;
}

/// What of a limit is free beside that.
std::int64_t free_beside(const std::vector<MemoryNeed>& standing, std::int64_t limit_bytes) {
  for (const MemoryNeed& need : standing) limit_bytes -= need.bytes;
  return limit_bytes;
}

std::vector<StageNeeds> stages(const MemoryFacts& facts, std::int64_t limit_bytes, double stored_share) {
  const std::vector<MemoryNeed> standing = all_standing_needs(facts);
  const std::int64_t free_bytes = free_beside(standing, limit_bytes);
  const LearnPlan learning = learning_plan(facts, limit_bytes);

  std::vector<StageNeeds> all;
  if (facts.learns && (!facts.config.skip_bkg_sub || !facts.config.skip_flat_field)) {
    all.push_back({"learning", standing});
    all.back().needs.push_back(
        {"estimation level", learning.beside_bytes + std::min(learning.bytes, std::max(free_bytes, learning.least_bytes))});
  }
  const std::int64_t level_bytes =
      spatial(facts.estimation.shape).volume() * static_cast<std::int64_t>(size_of(facts.estimation.dtype));
  if (const std::int64_t bytes = median_bytes(facts, stored_share); bytes > 0) {
    all.push_back({"the background image", standing});
    if (learning.resident) all.back().needs.push_back({"estimation level", level_bytes});
    all.back().needs.push_back({"background planes", bytes});
    if (const std::int64_t held = earlier_weight_bytes(facts); held > 0)
      all.back().needs.push_back({"foreground probability", held});
  }
  if (facts.mask_file_bytes > 0) {
    all.push_back({"making the mask", standing});
    if (learning.resident) all.back().needs.push_back({"estimation level", level_bytes});
    all.back().needs.push_back({"mask of another shape", facts.mask_file_bytes});
  }
  const auto add = [&](const std::string& name, const OutputPlan& plan, std::int64_t source_bytes,
                       const std::vector<MemoryNeed>& beside = {}) {
    const StreamMemory stream = stream_memory(plan, source_bytes, facts.workers, facts.part_bytes, stored_share);
    const std::int64_t left = free_beside(beside, free_bytes);
    all.push_back(stage_of(name, stream, standing, stream.items_bytes(left - stream.workers_bytes)));
    for (const MemoryNeed& need : beside)
      if (need.bytes > 0) all.back().needs.push_back(need);
  };
  add("the corrected tile", facts.outputs.corrected,
      corrected_source_bytes(facts.input, facts.outputs.corrected,
                             facts.fits ? spatial(facts.estimation.shape) : Extent3{}, facts.is_input_remote, stored_share));
  if (facts.fits) add("the mask", facts.outputs.mask, 0);
  if (facts.refines) {
    const std::int64_t held = volume_count(facts.outputs.corrected) * weight_bytes(facts);
    const std::int64_t level = probability_level_bytes(facts, free_bytes - held);
    add("the probability", facts.outputs.probability, probability_source_bytes(facts, stored_share),
        {{"foreground probability", held}, {"estimation level", level}});
  }
  all.push_back({"finishing", standing});
  all.back().needs.push_back(finishing_need(facts.outputs));
  return all;
}

}  // namespace

void note_remote_places(MemoryFacts& facts, const std::string& tile_location, std::int64_t limit_bytes) {
  facts.is_input_remote = storage::is_remote(tile_location);
  if (!storage::is_remote(facts.config.output)) return;
  const storage::S3Options options = s3_options(facts.config, limit_bytes);
  facts.part_bytes = static_cast<std::int64_t>(options.part_bytes);
  facts.queue_bytes = static_cast<std::int64_t>(options.queue_bytes);
}

void note_masks(MemoryFacts& facts, const MaskCatalog& masks, const std::string& tile_name) {
  facts.kept_mask_bytes = masks.kept_bytes();
  if (!facts.learns) return;
  facts.keeps_mask = facts.fits && masks.misses(tile_name);
  facts.mask_file_bytes = masks.making_bytes(tile_name, spatial(facts.estimation.shape));
}

MemoryNeed finishing_need(const TileOutputs& outputs) {
  // A size and a sum of each object as it was written, its size as it is found, and both once more of a level that is written.
  constexpr std::int64_t kObjectBytes = 40;
  std::int64_t most = 0;
  for (const OutputPlan* plan : {&outputs.corrected, &outputs.mask, &outputs.probability})
    most = std::max(most, object_count(level_metadata(*plan)));
  return {"checksums", kObjectBytes * most};
}

MemoryNeed process_need(int workers) { return {"process", kProcessBytes + workers * kThreadBytes}; }

std::vector<MemoryNeed> standing_needs(const MemoryFacts& facts) {
  const config::RunConfig& config = facts.config;
  const OutputPlan& corrected = facts.outputs.corrected;
  const std::int64_t volumes = volume_count(corrected);
  const Extent3 low = spatial(facts.estimation.shape);
  std::vector<MemoryNeed> needs;
  if (!config.skip_bkg_sub || config.pedestal > 0.0)
    needs.push_back({"background image", volumes * plane_bytes(corrected.shape)});
  if (!config.skip_flat_field && config.method != "fitting")
    needs.push_back({"flatfield and darkfield", 2 * volumes * plane_bytes(corrected.shape)});
  // Volumes that share a mask have one each, and one more is kept for the next of them or for other tiles.
  const bool keeps = volumes > 1 || facts.keeps_mask;
  if (facts.fits) needs.push_back({"mask", (volumes + (keeps ? 1 : 0)) * BitVolume::bytes_of(low)});
  needs.push_back({"bookkeeping", bookkeeping_bytes(facts)});
  if (facts.queue_bytes > 0)
    needs.push_back({"write queues", facts.queue_bytes * (1 + (facts.fits ? 1 : 0) + (facts.refines ? 1 : 0))});
  return needs;
}

std::int64_t free_for_stages(const MemoryFacts& facts, std::int64_t limit_bytes) {
  return free_beside(all_standing_needs(facts), limit_bytes);
}

std::int64_t probability_level_bytes(const MemoryFacts& facts, std::int64_t free_bytes) {
  const std::int64_t level = kept_level_bytes(facts.config.fitting, facts.estimation);
  const StreamMemory stream =
      stream_memory(facts.outputs.probability, probability_source_bytes(facts, 1.0), facts.workers, facts.part_bytes);
  const std::int64_t most = stream.workers_bytes + stream.items_at_once * stream.item_bytes;
  return level + most <= free_bytes ? level : 0;
}

LearnPlan learning_plan(const MemoryFacts& facts, std::int64_t limit_bytes) {
  return plan_learning({.shape = spatial(facts.estimation.shape),
                        .chunk = spatial(facts.estimation.chunk_shape),
                        .voxel_bytes = static_cast<std::int64_t>(size_of(facts.estimation.dtype)),
                        .reading_bytes = chunk_reading_bytes(facts.estimation),
                        .workers = facts.workers,
                        .config = facts.config,
                        .fits = facts.fits,
                        .target = spatial(facts.input.shape),
                        .mask_file_bytes = facts.mask_file_bytes,
                        .median_bytes = median_bytes(facts, 1.0),
                        .earlier_weight_bytes = earlier_weight_bytes(facts),
                        .limit_bytes = limit_bytes,
                        .is_remote = facts.is_input_remote},
                       free_for_stages(facts, limit_bytes));
}

std::int64_t StreamMemory::items_bytes(std::int64_t free_bytes) const {
  return std::clamp<std::int64_t>(item_bytes > 0 ? free_bytes / item_bytes : items_at_once, 1, items_at_once) *
         item_bytes;
}

std::int64_t StreamMemory::without_uploads(std::int64_t items_bytes) const {
  if (upload_bytes == 0) return items_bytes;
  return items_bytes / item_bytes * (item_bytes - upload_bytes);
}

StreamMemory stream_memory(const OutputPlan& plan, std::int64_t source_bytes, int workers, std::int64_t part_bytes,
                           double stored_share) {
  StreamMemory memory;
  for (const PassMemory& pass :
       pyramid_memory(level_metadata(plan), plan.chunk_shape, plan.shard_shape, workers, stored_share)) {
    const std::int64_t source =
        pass.finest_level == 0 ? source_bytes : pass.source_bytes + (part_bytes > 0 ? pass.ahead_bytes : 0);
    memory.workers_bytes = std::max(memory.workers_bytes, workers * (pass.worker_bytes + source));
    memory.upload_bytes = std::max(memory.upload_bytes, pass.open_shards * kPartsHeld * part_bytes);
    memory.item_bytes = std::max(memory.item_bytes, pass.item_bytes);
    memory.items_at_once = std::max(memory.items_at_once, std::min<std::int64_t>(pass.items, workers));
  }
  memory.item_bytes += memory.upload_bytes;
  return memory;
}

std::int64_t corrected_source_bytes(const zarr::ArrayMetadata& input, const OutputPlan& plan, const Extent3& mask,
                                    bool is_input_remote, double stored_share) {
  const Extent3 cell = ItemGeometry(plan.chunk_shape, plan.shard_shape).cell;
  const Extent3 chunk = spatial(input.chunk_shape);
  // A chunk at the edge of the volume, or one that is not a whole cell, is decoded beside it.
  std::int64_t bytes = zarr::decoder_bytes(input, stored_share) + static_cast<std::int64_t>(input.chunk_bytes());
  // Voxels of one byte are decoded beside those of two that are made of them.
  if (size_of(input.dtype) == 1) bytes += cell.volume();
  bytes += mask_row_bytes(mask, spatial(input.shape), cell);
  if (is_input_remote || input.is_sharded())
    bytes += zarr::expected_bytes(input, most_chunks_in(cell * 2, chunk), stored_share);
  return bytes;
}

std::vector<StageNeeds> tile_needs(const MemoryFacts& facts) { return stages(facts, 0, 1.0); }

std::vector<StageNeeds> expected_needs(const MemoryFacts& facts, std::int64_t limit_bytes, double stored_share) {
  return stages(facts, limit_bytes, stored_share);
}

}  // namespace flatfield::pipeline
