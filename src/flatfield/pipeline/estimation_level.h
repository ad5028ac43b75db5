#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "flatfield/execution/memory_budget.h"
#include "flatfield/methods/background.h"
#include "flatfield/methods/correction.h"
#include "flatfield/methods/level_stream.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/streamed_level.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::pipeline {

/// What learning from a level depends on, for its memory.
struct LearnFacts {
  Extent3 shape;  ///< of the estimation level
  Extent3 chunk;
  std::int64_t voxel_bytes = 2;
  std::int64_t reading_bytes = 0;  ///< of each worker (chunk_reading_bytes)
  int workers = 1;
  const config::RunConfig& config;
  bool fits = false;  ///< with curves, and so with a mask
  Extent3 target;     ///< shape of what is corrected
  std::int64_t mask_file_bytes = 0;  ///< held beside a level in memory while the mask is made
  std::int64_t median_bytes = 0;     ///< at least, beside a level in memory while the background image is made
  std::int64_t earlier_weight_bytes = 0;  ///< of volumes that are learnt before, as far as they are not reserved yet
  std::int64_t limit_bytes = 0;  ///< of the run
  bool is_remote = false;        ///< each reading costs requests

  /// Its planes have the size of those that are corrected.
  [[nodiscard]] bool is_target() const { return target.y == shape.y && target.x == shape.x; }
};

/// LearnFacts::median_bytes of a tile whose array `target` is corrected; 0 where no background image is made.
[[nodiscard]] std::int64_t background_median_bytes(const config::RunConfig& config, const zarr::ArrayMetadata& target,
                                                   int workers, bool is_remote, double stored_share = 1.0);

/// How a level is learnt from with so much memory. A level is kept where there is room. For a coarse one on a disk, all
/// passes over which read no more than a fiftieth of what its correction reads, that room is an eighth of the limit, or what
/// its passes need to decode each chunk once if that is more: so the peak of a run hardly grows with its planes.
struct LearnPlan {
  std::int64_t beside_bytes = 0;  ///< for what is fitted to the level: BaSiC, the mixture model
  std::int64_t least_bytes = 0;   ///< without which the level is refused
  std::int64_t bytes = 0;         ///< that will be held for the level
  bool resident = false;         ///< the level is read once and kept
  int passes = 0;                ///< over the level, most often; each reads it unless it is resident
};
[[nodiscard]] LearnPlan plan_learning(const LearnFacts& facts, std::int64_t free_bytes);

/// The estimation level of a volume while it is learnt from: read again in every pass, or kept in memory, as plan_learning
/// decides from what the run's budget has free.
class EstimationLevel {
 public:
  /// Throws Error(kMemory) if the level can not be learnt from in the free memory.
  /// `target` is the array that is corrected, `tile_name` that by which its mask is found, `location` that of the tile.
  EstimationLevel(const ome::Volume& volume, RunContext& context, bool fits, const zarr::ArrayMetadata& target,
                  const std::string& tile_name, const std::string& location);

  /// Leaves the memory of its passes to another, until `take_back`; a level that is kept in memory stays.
  void lend(RunContext& context);
  /// Throws Error(kMemory) if it is not free again.
  void take_back(RunContext& context);

  [[nodiscard]] const Extent3& shape() const { return raw_.shape(); }
  [[nodiscard]] methods::LevelStream& raw() { return raw_; }
  /// The level without the background of the correction, which must outlive this. To be called before v_low.
  void subtract(const methods::Correction& correction, const ParallelFor& parallel_for);
  [[nodiscard]] methods::LevelStream& v_low() { return *v_low_; }
  /// The background at the level's size; none = nothing is subtracted.
  [[nodiscard]] const std::optional<BlockView<const float>>& background() const { return background_; }
  /// methods::QualityInput::sample_voxels.
  [[nodiscard]] std::int64_t sample_voxels() const { return sample_voxels_; }
  /// What a search for order statistics may hold.
  [[nodiscard]] std::int64_t search_bytes() const { return search_bytes_; }

 private:
  execution::MemoryBudget::Reservation held_;
  StreamedLevel raw_;
  std::int64_t kept_bytes_ = 0;  ///< of the level itself, where it is in memory
  std::int64_t all_bytes_ = 0;
  std::int64_t search_bytes_ = 0;
  std::int64_t sample_voxels_ = 0;
  std::optional<numerics::PlaneOfSize> plane_;
  std::optional<BlockView<const float>> background_;  ///< that plane
  std::optional<methods::ChangedStream> v_low_;
};

}  // namespace flatfield::pipeline
