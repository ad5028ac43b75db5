#include "flatfield/pipeline/plan_probe.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>

#include "flatfield/config/run_config.h"
#include "flatfield/core/error.h"
#include "flatfield/methods/axis_fit.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/learn_background.h"
#include "flatfield/pipeline/learn_stage.h"
#include "flatfield/pipeline/local_folders.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_portrait.h"
#include "flatfield/report/volume_portrait.h"

namespace flatfield::pipeline {
namespace {

/// A level of more voxels than that is not learnt from for a plan: it takes seconds.
constexpr std::int64_t kMostLearnVoxels = std::int64_t{1} << 26;
/// Blocks of 2 x 2 x 2 cells in the sample, at least and per worker.
constexpr std::int64_t kLeastBlocks = 12;
constexpr std::int64_t kBlocksPerWorker = 3;

template <class Work>
ProbeCost measure(Work work) {
  StageTotals totals;
  const auto start = std::chrono::steady_clock::now();
  {
    const StageBinding binding(totals, Stage::kArithmetic);
    work();
  }
  ProbeCost cost;
  cost.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto seconds = [&](Stage stage) {
    return 1e-9 * static_cast<double>(totals.cpu_nanoseconds[static_cast<std::size_t>(stage)].load());
  };
  for (int i = 0; i < kStageCount; ++i) cost.cpu_seconds += seconds(static_cast<Stage>(i));
  cost.decode_cpu_seconds = seconds(Stage::kRead) + seconds(Stage::kDecode);
  cost.encode_cpu_seconds = seconds(Stage::kEncode) + seconds(Stage::kWrite);
  cost.bytes_read = totals.bytes_read;
  cost.bytes_written = totals.bytes_written;
  return cost;
}

/// The estimation level, or the finest that is coarser and small enough; the coarsest where none is.
std::string learn_level(const ome::Tile& tile, const std::string& estimation) {
  std::string chosen = estimation;
  for (const ome::Level& level : tile.multiscale().levels) {
    if (tile.spatial_shape(chosen).volume() <= kMostLearnVoxels) break;
    if (tile.spatial_shape(level.path).volume() < tile.spatial_shape(chosen).volume()) chosen = level.path;
  }
  return chosen;
}

/// What was learnt from a small level, for the whole of the tile.
methods::Correction enlarged(const Learned& learned, const Extent3& shape, const ParallelFor& parallel_for) {
  const methods::Correction& small = learned.correction;
  const auto plane = [&](const Block<float>& p) { return numerics::resize_plane(p.view(), shape.y, shape.x, parallel_for); };
  methods::Correction large;
  large.shape = shape;
  if (small.background) large.background = plane(*small.background);
  if (small.mask) large.mask = small.mask->clone();
  if (small.curves && learned.fit) {
    methods::AxisCurves curves;
    curves.z = methods::evaluate_curve(learned.fit->axes[0], shape.z);
    curves.y = methods::evaluate_curve(learned.fit->axes[1], shape.y);
    curves.x = methods::evaluate_curve(learned.fit->axes[2], shape.x);
    curves.ratio = small.curves->ratio;
    large.curves = std::move(curves);
  }
  if (small.image) {
    methods::ImageFlatfield image;
    image.flatfield = plane(small.image->flatfield);
    if (small.image->darkfield) image.darkfield = plane(*small.image->darkfield);
    large.image = std::move(image);
  }
  return large;
}

/// Blocks of a volume, spread over it, one behind another along z.
class Sample {
 public:
  Sample(const Extent3& volume, const Extent3& cell, std::int64_t most_blocks)
      : block_(cell * 2), volume_(volume) {
    const Extent3 grid = ceil_div(volume, block_);
    const std::int64_t all = grid.volume();
    const std::int64_t count = std::min(all, most_blocks);
    // One of each of `count` equal parts of the grid in Morton order, at places that do not repeat: every second block may
    // be like every other.
    constexpr double kGoldenRatio = 0.6180339887498949;
    for (std::int64_t i = 0; i < count; ++i) {
      double whole = 0.0;
      const double place = static_cast<double>(i) + std::modf(kGoldenRatio * static_cast<double>(i + 1), &whole);
      const auto number = static_cast<std::int64_t>(place * static_cast<double>(all) / static_cast<double>(count));
      origins_.push_back(morton_place(grid, number) * block_);
    }
  }

  [[nodiscard]] Extent3 shape() const {
    return {static_cast<std::int64_t>(origins_.size()) * block_.z, block_.y, block_.x};
  }
  /// Voxels of the volume that are in it.
  [[nodiscard]] std::int64_t voxels() const {
    std::int64_t sum = 0;
    for (const Extent3& origin : origins_) sum += intersect({origin, block_}, {{0, 0, 0}, volume_}).shape.volume();
    return sum;
  }
  /// Where a box, which lies in one block, is in the volume; clipped.
  [[nodiscard]] Box3 place(const Box3& box) const {
    const std::int64_t number = box.origin.z / block_.z;
    const Extent3 inside{box.origin.z % block_.z, box.origin.y, box.origin.x};
    return intersect({origins_[static_cast<std::size_t>(number)] + inside, box.shape}, {{0, 0, 0}, volume_});
  }

 private:
  Extent3 block_;
  Extent3 volume_;
  std::vector<Extent3> origins_;
};

/// The voxels of a sample.
template <class T>
class SampledSource : public VoxelSource<T> {
 public:
  SampledSource(VoxelSource<T>& source, const Sample& sample) : source_(source), sample_(sample) {}
  void begin() override { source_.begin(); }
  void expect(const Box3& box, int worker) override {
    if (const Box3 place = sample_.place(box); !place.empty()) source_.expect(place, worker);
  }
  void read(const Box3& box, BlockView<T> out, int worker) override {
    const Box3 place = sample_.place(box);
    if (place.shape != box.shape)
      for (std::int64_t z = 0; z < out.shape.z; ++z)
        for (std::int64_t y = 0; y < out.shape.y; ++y) std::fill_n(out.row(z, y), out.shape.x, T{0});
    if (!place.empty()) source_.read(place, out.sub({{0, 0, 0}, place.shape}), worker);
  }
  void finish(const Box3& slab, BlockView<T> out, int worker) override {
    const Box3 place = sample_.place(slab);
    if (!place.empty()) source_.finish(place, out.sub({{0, 0, 0}, place.shape}), worker);
  }

 private:
  VoxelSource<T>& source_;
  const Sample& sample_;
};

/// Writes the first levels of a sample as `like` would be written, and removes them again.
template <class T>
ProbeCost write_sample(RunContext& context, VoxelSource<T>& source, const Extent3& shape, const OutputPlan& like,
                       int levels, const std::string& scratch) {
  OutputPlan plan = like;
  plan.volumes = {1, 1};
  plan.shape = shape;
  plan.level_count = std::min(like.level_count, levels);
  if (plan.shard_shape)
    plan.shard_shape = min(*plan.shard_shape, ceil_div(shape, plan.chunk_shape) * plan.chunk_shape);
  const auto store = context.stores.open(scratch);
  const ProbeCost cost = measure([&] {
    OutputImage image(store, plan);
    write_pyramid(source, image.target({}, "sample"), context.pool, context.memory.limit_bytes(), {});
    store->flush();
  });
  store->erase_prefix("");
  return cost;
}

/// Removes samples, and on a disk the folder that they are in.
void remove_samples(RunContext& context, const std::string& scratch) {
  context.stores.open(location_parent(scratch))->erase_prefix(location_name(scratch));
}

Probe take_probe(RunContext& context, const ProbeRequest& request, const std::string& scratch) {
  const auto& [tile, location, levels, outputs, level_place, model] = request;
  const ParallelFor parallel_for = context.pool.as_parallel_for();
  const Extent3 target = tile.spatial_shape(levels.target);
  const std::string name = location_name(location);
  Probe probe;
  probe.learn_level = learn_level(tile, levels.estimation);
  probe.learn_share = static_cast<double>(tile.spatial_shape(probe.learn_level).volume()) /
                      static_cast<double>(tile.spatial_shape(levels.estimation).volume());
  Learned learned_here;
  methods::Correction enlarged_here;
  if (model != nullptr) {
    make_applicable(*model, target, parallel_for);
  } else {
    const TileLevels small{probe.learn_level, probe.learn_level, levels.binned};
    probe.learn = measure([&] { learned_here = learn({tile, location, name, {}, small}, context); });
    // Only planes that a background image is made from must be found in the other level, which takes its scale.
    if (!learned_here.target_planes.empty())
      probe.background_planes =
          target_planes(tile, small.estimation, levels.target, learned_here.background_planes.planes);
    enlarged_here = enlarged(learned_here, target, parallel_for);
  }
  const Learned& learned = model != nullptr ? model->learned : learned_here;
  const methods::Correction& correction = model != nullptr ? learned.correction : enlarged_here;

  const methods::CorrectionKernel kernel(correction);
  const Extent3 cell = ItemGeometry(outputs.corrected.chunk_shape).cell;
  const Sample sample(target, cell, std::max(kLeastBlocks, kBlocksPerWorker * context.pool.workers()));
  probe.sample_share = static_cast<double>(sample.voxels()) / static_cast<double>(target.volume());
  {
    const auto source = corrected_source(tile.open_volume(levels.target, {}), kernel, context.pool.workers());
    const auto write = [&](const Sample& part) {
      SampledSource<std::uint16_t> sampled(*source, part);
      return write_sample(context, sampled, part.shape(), outputs.corrected, 2, scratch);
    };
    // The first blocks pay for memory and code that the others find ready, and a run is many blocks.
    static_cast<void>(write(Sample(target, cell, context.pool.workers())));
    probe.corrected = write(sample);
  }
  if (correction.mask) {
    const auto source = mask_source(kernel);
    SampledSource<std::uint8_t> sampled(*source, sample);
    probe.mask = write_sample(context, sampled, sample.shape(), outputs.mask, 1, scratch);
  }
  if (learned.weights) {
    const ome::Volume estimation = tile.open_volume(probe.learn_level, {});
    const auto source = foreground_source(*learned.weights, estimation, level_place, correction, context.pool);
    probe.probability = write_sample(context, *source, estimation.shape(), outputs.probability,
                                     outputs.probability.level_count, scratch);
  }
  if (config::writes_report(context.config)) {
    try {
      probe.report = measure([&] {
        static_cast<void>(report::draw_pictures(take_portrait({tile, probe.learn_level, probe.learn_level, {}, name}, learned, context)));
      });
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kMemory) throw;  // a run's report has no pictures then
    }
  }
  return probe;
}

}  // namespace

Probe probe_tile(RunContext& context, const ProbeRequest& request, const std::string& scratch) {
  remove_samples(context, scratch);  // of a plan that was killed
  const MadeFolders made(scratch);
  try {
    return take_probe(context, request, scratch);
  } catch (...) {
    try {
      remove_samples(context, scratch);
    } catch (const std::exception&) {
      // What went wrong first is what the plan ends with.
    }
    throw;
  }
}

}  // namespace flatfield::pipeline
