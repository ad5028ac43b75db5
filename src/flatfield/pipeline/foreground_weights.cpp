#include "flatfield/pipeline/foreground_weights.h"

#include <algorithm>
#include <optional>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/methods/background.h"
#include "flatfield/methods/mixture_weight.h"
#include "flatfield/numerics/gaussian_block.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/level_reader.h"
#include "flatfield/pipeline/pass_memory.h"
#include "flatfield/zarr/codec_memory.h"

namespace flatfield::pipeline {
namespace {

/// Weights that are computed box by box, from each box of the level with the halo that they depend on.
template <class T>
class ForegroundSource : public VoxelSource<float> {
 public:
  ForegroundSource(const ForegroundWeights& weights, ome::Volume estimation, LevelPlace place,
                   const methods::Correction& correction, execution::ThreadPool& pool)
      : weights_(weights),
        estimation_(std::move(estimation)),
        place_(place),
        pool_(pool),
        memory_(static_cast<std::size_t>(pool.workers())) {
    const Extent3& shape = estimation_.shape();
    if (correction.background)
      background_.emplace(correction.background->view(), shape.y, shape.x, pool.as_parallel_for());
  }

  void begin() override {
    if (place_ == LevelPlace::kStore) return;
    std::vector<zarr::ChunkScratch> scratches(memory_.size());
    kept_ = Block<T>(estimation_.shape());
    read_level<T>(estimation_, {{0, 0, 0}, estimation_.shape()}, kept_.view(), pool_, scratches);
  }

  void read(const Box3& box, BlockView<float> out, int worker) override {
    Memory& mine = memory_[static_cast<std::size_t>(worker)];
    const Box3 seen = grown(box, weights_.field().reach(), estimation_.shape());
    if (mine.v_low.size() < seen.shape.volume()) {
      mine.v_low = Block<float>(seen.shape);
      mine.weights = Block<float>(seen.shape);
    }
    const BlockView<const T> raw = voxels(seen, mine);
    const StageScope scope(Stage::kArithmetic);
    methods::LevelBlock block;
    block.box = box;
    block.seen = seen;
    block.worker = worker;
    block.values = {mine.v_low.data(), seen.shape};
    for (std::int64_t z = 0; z < seen.shape.z; ++z)
      for (std::int64_t y = 0; y < seen.shape.y; ++y) std::copy_n(raw.row(z, y), seen.shape.x, block.values.row(z, y));
    if (background_) methods::subtract_background(block.values, seen, background_->view());
    const BlockView<float> weights(mine.weights.data(), seen.shape);
    weights_.field().weigh(block, weights);
    copy_block<float>(weights.sub(block.inner()), out);
  }

 private:
  struct Memory {
    Block<T> raw;
    Block<float> v_low;
    Block<float> weights;
    zarr::ChunkScratch chunk;
  };

  BlockView<const T> voxels(const Box3& box, Memory& mine) {
    if (!kept_.empty()) return kept_.view().sub(box);
    if (mine.raw.size() < box.shape.volume()) mine.raw = Block<T>(box.shape);
    const BlockView<T> raw(mine.raw.data(), box.shape);
    estimation_.read<T>(box, raw, mine.chunk);
    return raw;
  }

  const ForegroundWeights& weights_;
  ome::Volume estimation_;
  LevelPlace place_;
  execution::ThreadPool& pool_;
  Block<T> kept_;  ///< all of the level; empty where it is read box by box
  std::optional<numerics::PlaneOfSize> background_;
  std::vector<Memory> memory_;
};

bool is_mixture(const methods::ForegroundWeightOptions& options) {
  return options.probability_model == methods::ProbabilityModel::kGaussianMixture;
}

class NoForegroundSource : public VoxelSource<float> {
 public:
  void read(const Box3& /*box*/, BlockView<float> out, int /*worker*/) override {
    for (std::int64_t z = 0; z < out.shape.z; ++z)
      for (std::int64_t y = 0; y < out.shape.y; ++y) std::fill_n(out.row(z, y), out.shape.x, 0.0F);
  }
};

}  // namespace

std::shared_ptr<const ForegroundWeights> ForegroundWeights::ramp(const methods::RampWeights& ramp) {
  std::shared_ptr<ForegroundWeights> made(new ForegroundWeights);
  made->field_ = std::make_unique<methods::RampWeights>(ramp);
  return made;
}

FoundWeights ForegroundWeights::mixture(methods::LevelStream& v_low, const BitVolume& mask,
                                        const std::vector<std::int64_t>& background_planes, RunContext& context) {
  std::shared_ptr<ForegroundWeights> made(new ForegroundWeights);
  const Extent3& shape = v_low.shape();
  const std::int64_t bytes = shape.volume() * static_cast<std::int64_t>(sizeof(float));
  made->held_ = context.memory.reserve("foreground probability", bytes);
  if (mask.count() == 0) {
    // In an empty mask nothing is foreground, and there is nothing to fit a mixture to.
    made->stored_ = Block<float>(shape, 0.0F);
  } else {
    const std::int64_t all_bytes = mixture_bytes(shape, context.config.fitting, context.pool.workers());
    const auto level_bytes = context.memory.reserve("level of the mixture model", all_bytes - bytes);
    Block<float> level(shape, 0.0F);
    v_low.visit({}, [&](const methods::LevelBlock& block) {
      copy_block<float>(block.values, level.view().sub(block.box));
    });
    v_low.merge().unite(std::as_writable_bytes(level.span()));
    try {
      context.processes.first_only([&] {
        made->stored_ = methods::foreground_weight(level.view(), mask.view(), background_planes,
                                                   context.config.fitting, context.pool.as_parallel_for());
      });
    } catch (const Error& error) {
      // What the data do not hold is no failure of the run. A level that cannot be read is one, and has thrown above.
      if (error.code() != ErrorCode::kBadInput) throw;
      return {nullptr, error.message()};
    }
    context.processes.broadcast(made->stored_);
  }
  made->field_ = std::make_unique<methods::StoredWeights>(std::as_const(made->stored_).view());
  return {std::move(made), ""};
}

std::int64_t mixture_bytes(const Extent3& level, const methods::ForegroundWeightOptions& options, int workers) {
  // The level and the result are float32.
  return 2 * static_cast<std::int64_t>(sizeof(float)) * level.volume() + methods::mixture_weight_bytes(level, options, workers);
}

std::int64_t held_weight_bytes(const Extent3& level, const methods::ForegroundWeightOptions& options) {
  return is_mixture(options) ? level.volume() * static_cast<std::int64_t>(sizeof(float)) : 0;
}

std::unique_ptr<VoxelSource<float>> foreground_source(const ForegroundWeights& weights, const ome::Volume& estimation,
                                                      LevelPlace place, const methods::Correction& correction,
                                                      execution::ThreadPool& pool) {
  if (const Block<float>* stored = weights.stored()) return block_source(*stored);
  if (estimation.dtype() == DType::kUint8)
    return std::make_unique<ForegroundSource<std::uint8_t>>(weights, estimation, place, correction, pool);
  return std::make_unique<ForegroundSource<std::uint16_t>>(weights, estimation, place, correction, pool);
}

std::unique_ptr<VoxelSource<float>> no_foreground_source() { return std::make_unique<NoForegroundSource>(); }

bool reads_level(const methods::ForegroundWeightOptions& options) { return !is_mixture(options); }

Extent3 foreground_reach(const methods::ForegroundWeightOptions& options) {
  const double sigma = options.probability_smooth_sigma;
  return is_mixture(options) ? Extent3{} : numerics::gaussian_reach({sigma, sigma, sigma});
}

std::int64_t kept_level_bytes(const methods::ForegroundWeightOptions& options, const zarr::ArrayMetadata& estimation) {
  if (foreground_reach(options) == Extent3{}) return 0;
  return spatial(estimation.shape).volume() * static_cast<std::int64_t>(size_of(estimation.dtype));
}

std::int64_t foreground_source_bytes(const methods::ForegroundWeightOptions& options,
                                     const zarr::ArrayMetadata& estimation, const OutputPlan& plan, double stored_share) {
  if (is_mixture(options)) return 0;
  const Extent3 cell = ItemGeometry(plan.chunk_shape, plan.shard_shape).cell;
  const Extent3 seen = min(cell + foreground_reach(options) * 2, plan.shape);
  return seen.volume() * static_cast<std::int64_t>(size_of(estimation.dtype) + 2 * sizeof(float)) +
         zarr::decoder_bytes(estimation, stored_share) + static_cast<std::int64_t>(estimation.chunk_bytes());
}

}  // namespace flatfield::pipeline
