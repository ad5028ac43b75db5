#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/execution/memory_budget.h"
#include "flatfield/methods/correction.h"
#include "flatfield/methods/foreground_weight.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/volume_stage.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::pipeline {

class ForegroundWeights;

/// What was looked for, or why the data do not hold it.
struct FoundWeights {
  std::shared_ptr<const ForegroundWeights> weights;  ///< null where there are none
  std::string reason;                                ///< why there are none; "" where there are
};

/// The foreground probability of an estimation level (docs/methods.md 4.3). That of the ramp is computed where it is
/// needed; that of the mixture model is held, four bytes per voxel.
class ForegroundWeights {
 public:
  [[nodiscard]] static std::shared_ptr<const ForegroundWeights> ramp(const methods::RampWeights& ramp);
  /// Needs the level as float32 beside the result. Throws Error(kMemory) where there is no room for both, and what reading
  /// the level throws.
  [[nodiscard]] static FoundWeights mixture(methods::LevelStream& v_low, const BitVolume& mask,
                                            const std::vector<std::int64_t>& background_planes, RunContext& context);

  [[nodiscard]] const methods::WeightField& field() const { return *field_; }
  /// Those that are held; null where they are computed.
  [[nodiscard]] const Block<float>* stored() const { return stored_.empty() ? nullptr : &stored_; }

 private:
  ForegroundWeights() = default;
  execution::MemoryBudget::Reservation held_;
  Block<float> stored_;
  std::unique_ptr<const methods::WeightField> field_;
};

/// What ForegroundWeights::mixture needs.
[[nodiscard]] std::int64_t mixture_bytes(const Extent3& level, const methods::ForegroundWeightOptions& options, int workers);
/// What weights by these options hold from when they are found to when their image is written.
[[nodiscard]] std::int64_t held_weight_bytes(const Extent3& level, const methods::ForegroundWeightOptions& options);

/// Where the estimation level is while probabilities are computed from it: read box by box, by which chunks are decoded as
/// often as a box or its halo touches them, or read once and kept in memory.
enum class LevelPlace { kStore, kMemory };

/// The probabilities of a volume, for its image. `correction` is that of the volume; everything must outlive it.
[[nodiscard]] std::unique_ptr<VoxelSource<float>> foreground_source(const ForegroundWeights& weights,
                                                                    const ome::Volume& estimation, LevelPlace place,
                                                                    const methods::Correction& correction,
                                                                    execution::ThreadPool& pool);
/// Voxels around a box that the probabilities in it are computed from.
[[nodiscard]] Extent3 foreground_reach(const methods::ForegroundWeightOptions& options);
/// What the level takes that is kept for that; 0 where that would spare no reading.
[[nodiscard]] std::int64_t kept_level_bytes(const methods::ForegroundWeightOptions& options,
                                            const zarr::ArrayMetadata& estimation);
/// Whether the level is read at all: probabilities of the mixture model are held.
[[nodiscard]] bool reads_level(const methods::ForegroundWeightOptions& options);
/// Those of a volume of which none are known: zeros.
[[nodiscard]] std::unique_ptr<VoxelSource<float>> no_foreground_source();
/// What foreground_source holds per worker while the image of a plan is written, of weights by these options, or while it
/// reads a level to be kept; `estimation` is the array of the level.
[[nodiscard]] std::int64_t foreground_source_bytes(const methods::ForegroundWeightOptions& options,
                                                   const zarr::ArrayMetadata& estimation, const OutputPlan& plan,
                                                   double stored_share = 1.0);

}  // namespace flatfield::pipeline
