#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flatfield/config/run_config.h"
#include "flatfield/execution/memory_budget.h"
#include "flatfield/pipeline/estimation_level.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/tile_outputs.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::pipeline {

class MaskCatalog;

/// What the memory of a run depends on.
struct MemoryFacts {
  const config::RunConfig& config;
  const zarr::ArrayMetadata& input;       ///< the level that is corrected
  const zarr::ArrayMetadata& estimation;  ///< the level that is learnt from
  const TileOutputs& outputs;
  int workers = 1;
  bool fits = false;            ///< with curves, and so with a mask
  bool refines = false;         ///< with foreground probabilities
  bool learns = true;           ///< false: a model is given
  std::int64_t part_bytes = 0;  ///< of uploads to S3 that go on at the same time; 0 where the output is local
  std::int64_t queue_bytes = 0;   ///< of the queue of objects on their way to S3, per output; 0 where it is local
  bool is_input_remote = false;
  std::int64_t mask_file_bytes = 0;  ///< held beside the mask while that is made (MaskCatalog::making_bytes)
  bool keeps_mask = false;           ///< that it learns, for tiles to come
  std::int64_t kept_mask_bytes = 0;  ///< masks of earlier tiles, which are reserved already
};

/// Fills in what the memory depends on where the tile or the outputs are remote; `limit_bytes` may be used in all.
void note_remote_places(MemoryFacts& facts, const std::string& tile_location, std::int64_t limit_bytes);

/// Fills in what the masks of a run take beside those of the tile itself, which makes one if it `learns` with a mask.
void note_masks(MemoryFacts& facts, const MaskCatalog& masks, const std::string& tile_name);

/// Memory of the process before it does anything: code, libraries, stacks.
[[nodiscard]] execution::MemoryNeed process_need(int workers);

/// What is held from learning to the end: the correction of each volume, what is on its way to S3.
[[nodiscard]] std::vector<execution::MemoryNeed> standing_needs(const MemoryFacts& facts);

/// What is held of the objects of an image when it is finished: sizes and checksums.
[[nodiscard]] execution::MemoryNeed finishing_need(const TileOutputs& outputs);

/// How the estimation level of each volume is learnt from where so much may be used in all.
[[nodiscard]] LearnPlan learning_plan(const MemoryFacts& facts, std::int64_t limit_bytes);

/// What the streaming of one pyramid holds beside that.
struct StreamMemory {
  std::int64_t workers_bytes = 0;
  std::int64_t item_bytes = 0;    ///< of the largest item, uploads of its shards included
  std::int64_t upload_bytes = 0;  ///< of these uploads alone
  std::int64_t items_at_once = 1;  ///< that are of use

  /// Bytes to reserve for items where so many are free: at least one item's, whether they are free or not.
  [[nodiscard]] std::int64_t items_bytes(std::int64_t free_bytes) const;
  /// What of `items_bytes` is for the items themselves, and not for their uploads.
  [[nodiscard]] std::int64_t without_uploads(std::int64_t items_bytes) const;
};

/// Bytes of memory that a run with that limit has beside what is held all the time.
[[nodiscard]] std::int64_t free_for_stages(const MemoryFacts& facts, std::int64_t limit_bytes);

/// Bytes to reserve for the estimation level while the image of the probability of a volume is made from it, where so many
/// are free: it is kept where there is room for it beside all items that are of use. 0 = it is read box by box, or not needed.
[[nodiscard]] std::int64_t probability_level_bytes(const MemoryFacts& facts, std::int64_t free_bytes);

/// `source_bytes` is what the source of the voxels holds per worker.
[[nodiscard]] StreamMemory stream_memory(const OutputPlan& plan, std::int64_t source_bytes, int workers,
                                         std::int64_t part_bytes, double stored_share = 1.0);

/// Per worker: what reading and correcting a cell of the corrected output holds, with the chunks of the input that are
/// fetched together (from shards, and where it is remote). `mask` is the shape of the mask; empty = there is none.
[[nodiscard]] std::int64_t corrected_source_bytes(const zarr::ArrayMetadata& input, const OutputPlan& plan,
                                                  const Extent3& mask, bool is_input_remote, double stored_share = 1.0);

/// All stages of a tile with the least that each needs, for execution::check_needs.
[[nodiscard]] std::vector<execution::StageNeeds> tile_needs(const MemoryFacts& facts);
/// The same with what each will hold where `limit_bytes` may be used and encoded chunks have `stored_share` of the size
/// of chunks.
[[nodiscard]] std::vector<execution::StageNeeds> expected_needs(const MemoryFacts& facts, std::int64_t limit_bytes,
                                                                double stored_share);

}  // namespace flatfield::pipeline
