#include "flatfield/pipeline/tile_plan.h"

#include <algorithm>
#include <cmath>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/chunk_readings.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/model_place.h"
#include "flatfield/pipeline/pass_memory.h"
#include "flatfield/pipeline/plan_probe.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/stored_size.h"
#include "flatfield/pipeline/tile_fingerprint.h"
#include "flatfield/pipeline/tile_levels.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_places.h"
#include "flatfield/storage/open_store.h"
#include "flatfield/zarr/codec_memory.h"

namespace flatfield::pipeline {
namespace {

/// Objects whose sizes are asked for: of a disk, and of a server.
constexpr std::int64_t kMostSizesLocal = 20'000;
constexpr std::int64_t kMostSizesRemote = 512;
/// The share of the estimation level's planes that the background image is made from at most (docs/methods.md 1, step 2).
constexpr double kMostBackgroundPlanes = 0.05;

/// Voxels of level 0 from which on the sample of a probe is less than a hundredth of them.
constexpr std::int64_t kLargeBytes = std::int64_t{32} << 30;

double ratio(double a, double b) { return b > 0.0 ? a / b : 0.0; }

std::int64_t scaled(std::int64_t bytes, double factor) {
  return std::llround(static_cast<double>(bytes) * factor);
}

class Planner {
 public:
  Planner(RunContext& context, const std::string& location)
      : context_(context),
        config_(context.config),
        location_(trimmed_location(location)),
        name_(location_name(location_)),
        places_(output_locations(config_.output, name_)),
        tile_(ome::Tile::open(context.stores.open(location_))),
        levels_(choose_levels(tile_, name_, config_, context.log)),
        input_(tile_.open_array(levels_.target)),
        estimation_(tile_.open_array(levels_.estimation)),
        outputs_(plan_tile_outputs(tile_, name_, levels_, input_, config_, context.log)),
        is_finished_(TilePlaces(context, location_, places_).holds_finished()),
        model_(given_model()),
        fits_(model_ ? model_->has_mask() : config_.method == "fitting" && !config_.skip_flat_field),
        refines_(!model_ && fits_ && config_.fitting.enable_gmm_refinement),
        learns_(!model_ && (!config_.skip_bkg_sub || !config_.skip_flat_field)),
        has_background_image_(!model_ && !config_.skip_bkg_sub && !config_.use_reference_bkg) {}

  TilePlan plan(PlanEffort effort) {
    TilePlan plan;
    plan.tile = name_;
    plan.workers = context_.pool.workers();
    plan.is_finished = is_finished_;
    if (is_finished_) return plan;
    if (effort == PlanEffort::kProbe) plan.items_done = items_done();
    add_outputs(plan);
    const MemoryFacts memory = memory_facts();
    const std::vector<execution::StageNeeds> least = tile_needs(memory);
    plan.memory_limit_bytes = context_.memory.limit_bytes();
    execution::check_needs(least, plan.memory_limit_bytes);
    plan.smallest_limit_bytes = execution::smallest_limit(least);
    const std::int64_t most = storage::is_remote(location_) ? kMostSizesRemote : kMostSizesLocal;
    level_0_ = stored_size(input_, most, config_.s3_concurrency);
    if (learns_ || config::writes_report(config_)) low_ = stored_size(estimation_, most, config_.s3_concurrency);
    plan.level_0_bytes = level_0_.bytes;
    // Before the probe, which makes a mask.
    const LearnPlan learning = learning_plan(memory, plan.memory_limit_bytes);
    const std::int64_t free_bytes = free_for_stages(memory, plan.memory_limit_bytes);
    if (refines_ && probability_level_bytes(memory, free_bytes) > 0) level_place_ = LevelPlace::kMemory;
    plan.memory = expected_needs(memory, plan.memory_limit_bytes, std::min(1.0, stored_share()));
    plan.sizes_are_estimates = level_0_.is_estimate || low_.is_estimate;
    if (effort == PlanEffort::kProbe || is_large()) {
      probe_ = probe_tile(
          context_,
          {tile_, location_, levels_, outputs_, level_place_, model_ ? &model_->volumes.front() : nullptr},
          places_.corrected + ".plan");
      plan.is_probed = true;
    }
    if (learns_) add_learning(plan, learning);
    if (config::writes_report(config_)) add_report(plan);
    add_correcting(plan);
    if (fits_) add_mask(plan);
    if (refines_) add_probability(plan);
    if (!storage::is_remote(location_))
      for (StagePlan& stage : plan.stages) stage.requests_read = 0;
    return plan;
  }

 private:
  /// What a run finds at the places of its outputs (TilePlaces::look).
  [[nodiscard]] std::optional<std::int64_t> items_done() {
    TilePlaces places(context_, location_, places_);
    places.choose(fits_, refines_, storage::Caching::kKept);
    const Json model = model_ ? model_identity(given_model_place(context_, name_)) : Json();
    return places.look(tile_fingerprint(context_, location_, tile_identity(tile_, levels_), model));
  }

  /// --model: what a run would correct with, instead of learning.
  [[nodiscard]] std::optional<TileModel> given_model() const {
    if (config_.model.empty() || is_finished_) return std::nullopt;
    const Extent3 shape = spatial(input_.metadata().shape);
    TileModel model = load_model(given_model_place(context_, name_),
                                 {location_, name_, places_.corrected, shape, tile_.volume_counts(input_)}, context_);
    check_options(model, config::resolved_config(config_), context_);
    return model;
  }

  [[nodiscard]] bool is_large() const {
    return spatial(input_.metadata().shape).volume() * static_cast<std::int64_t>(size_of(input_.metadata().dtype)) >=
           kLargeBytes;
  }

  [[nodiscard]] double volumes() const {
    return static_cast<double>(outputs_.corrected.volumes.t * outputs_.corrected.volumes.c);
  }

  void add_outputs(TilePlan& plan) const {
    const auto add = [&](const std::string& location, const OutputPlan& output) {
      plan.outputs.push_back({location, output, object_count(level_metadata(output))});
    };
    add(places_.corrected, outputs_.corrected);
    if (fits_) add(places_.mask, outputs_.mask);
    if (refines_) add(places_.probability, outputs_.probability);
  }

  [[nodiscard]] MemoryFacts memory_facts() const {
    MemoryFacts facts{config_, input_.metadata(), estimation_.metadata(), outputs_, context_.pool.workers(), fits_,
                      refines_, !model_};
    note_remote_places(facts, location_, context_.memory.limit_bytes());
    if (context_.masks) note_masks(facts, *context_.masks, name_);
    return facts;
  }

  /// Size of a stored chunk by that of a chunk.
  [[nodiscard]] double stored_share() const {
    return ratio(static_cast<double>(level_0_.bytes), static_cast<double>(zarr::chunk_count(input_.metadata())) *
                                                          static_cast<double>(input_.metadata().chunk_bytes()));
  }

  /// To decode all of level 0, by the probe.
  [[nodiscard]] double decode_cpu_seconds() const {
    return ratio(probe_->corrected.decode_cpu_seconds, probe_->sample_share);
  }

  /// Stored bytes of level 0 that hold background planes, and the share of its chunks that is decoded for them.
  struct BackgroundNeed {
    double bytes = 0.0;
    double chunks = 0.0;
    double decoded_share = 0.0;  ///< of all voxels of level 0
  };
  [[nodiscard]] BackgroundNeed background_need() const {
    const Extent3 shape = spatial(input_.metadata().shape);
    const std::int64_t chunk = spatial(input_.metadata().chunk_shape).z;
    const std::int64_t object = spatial(input_.metadata().object_shape()).z;
    const double plane_chunks = ratio(static_cast<double>(zarr::chunk_count(input_.metadata())),
                                      static_cast<double>((shape.z + chunk - 1) / chunk));
    std::vector<std::int64_t> planes;
    if (probe_) {
      planes = probe_->background_planes;
    } else {  // the most it can be: each plane in another chunk
      const double low_planes = static_cast<double>(spatial(estimation_.metadata().shape).z);
      const auto most = static_cast<std::int64_t>(std::ceil(kMostBackgroundPlanes * low_planes));
      for (std::int64_t i = 0; i < most; ++i) planes.push_back(shape.z * i / most);
    }
    BackgroundNeed need;
    for (std::size_t i = 0; i < planes.size();) {
      const std::int64_t row = planes[i] / chunk;
      const std::int64_t first = planes[i];
      std::int64_t last = first;
      for (; i < planes.size() && planes[i] / chunk == row; ++i) last = planes[i];
      const std::int64_t object_row = row * chunk / object;
      const std::int64_t rows_there =
          (std::min((object_row + 1) * object, shape.z) - object_row * object + chunk - 1) / chunk;
      need.bytes += static_cast<double>(level_0_.bytes_by_z[static_cast<std::size_t>(object_row)]) /
                    static_cast<double>(rows_there);
      need.chunks += plane_chunks;
      need.decoded_share += static_cast<double>(last - first + 1) / static_cast<double>(shape.z);
    }
    return need;
  }

  void add_learning(TilePlan& plan, const LearnPlan& learning) {
    StagePlan stage;
    stage.name = "learn";
    // A level that is not kept in memory is read in every pass.
    const std::int64_t reads = learning.resident ? 1 : learning.passes;
    const double readings = static_cast<double>(reads) * volumes_per_chunk(estimation_.metadata());
    stage.objects_read = low_.objects * reads;
    stage.bytes_read = scaled(low_.bytes, readings);
    stage.requests_read = scaled(zarr::chunk_count(estimation_.metadata()), readings);
    if (probe_) {
      const double factor = volumes() / probe_->learn_share;
      // The probe's level is kept in memory: what is read again is decoded again.
      const double share = ratio(static_cast<double>(spatial(estimation_.metadata().shape).volume()),
                                 static_cast<double>(spatial(input_.metadata().shape).volume()));
      const double again = volumes() * static_cast<double>(reads - 1) * share * decode_cpu_seconds();
      stage.cpu_seconds = probe_->learn.cpu_seconds * factor + again;
      stage.wall_seconds = probe_->learn.wall_seconds * factor + again / plan.workers;
    }
    if (has_background_image_) {
      const BackgroundNeed need = background_need();
      plan.background_bytes = std::llround(need.bytes * volumes_per_chunk(input_.metadata()));
      plan.background_is_known = probe_.has_value();
      stage.bytes_read += plan.background_bytes;
      stage.objects_read += std::llround(ratio(need.bytes, static_cast<double>(level_0_.bytes)) *
                                         static_cast<double>(level_0_.objects));
      stage.requests_read += std::llround(need.chunks * volumes_per_chunk(input_.metadata()));
      if (probe_) {
        const double cpu = volumes() * decode_cpu_seconds() * need.decoded_share;
        stage.cpu_seconds += cpu;
        stage.wall_seconds += cpu / plan.workers;
      }
    }
    plan.stages.push_back(stage);
  }

  /// The pictures of the report: one more pass over the estimation level.
  void add_report(TilePlan& plan) {
    StagePlan stage;
    stage.name = "report";
    stage.objects_read = low_.objects;
    stage.bytes_read = scaled(low_.bytes, volumes_per_chunk(estimation_.metadata()));
    stage.requests_read = scaled(zarr::chunk_count(estimation_.metadata()), volumes_per_chunk(estimation_.metadata()));
    if (probe_) {
      const double factor = volumes() / probe_->learn_share;
      stage.cpu_seconds = probe_->report.cpu_seconds * factor;
      stage.wall_seconds = probe_->report.wall_seconds * factor;
    }
    plan.stages.push_back(stage);
  }

  /// How often each chunk of level 0 is read: cell by cell, or part by part where the chunks of a part are fetched together
  /// (Array::expect_chunks).
  [[nodiscard]] double correcting_readings(const ItemGeometry& geometry, bool by_parts) const {
    const zarr::ArrayMetadata& input = input_.metadata();
    const Extent3 part = geometry.cell * (by_parts ? 2 : 1);
    const std::int64_t bytes =
        most_chunks_in(part, spatial(input.chunk_shape)) * static_cast<std::int64_t>(input.chunk_bytes());
    const bool is_fetched = (storage::is_remote(location_) || input.is_sharded()) && bytes <= zarr::kMostExpectedBytes;
    return is_fetched ? readings_per_chunk(input, part, false) : readings_per_chunk(input, geometry.cell, by_parts);
  }

  void add_correcting(TilePlan& plan) {
    const std::vector<zarr::ArrayMetadata> levels = level_metadata(outputs_.corrected);
    const ItemGeometry geometry(outputs_.corrected.chunk_shape, outputs_.corrected.shard_shape);
    StagePlan stage;
    stage.name = "correct";
    const double readings = correcting_readings(geometry, levels.size() > 1);
    stage.bytes_read = scaled(level_0_.bytes, readings);
    stage.objects_read = level_0_.objects;
    stage.requests_read =
        scaled(zarr::chunk_count(input_.metadata()), readings) + (input_.metadata().is_sharded() ? level_0_.objects : 0);
    stage.objects_written = object_count(levels);
    if (probe_) {
      const ProbeCost& sample = probe_->corrected;
      // By bytes: what is harder to encode is also larger, and takes longer.
      const double factor = ratio(static_cast<double>(level_0_.bytes) * readings, static_cast<double>(sample.bytes_read));
      // The sample has two levels, each an eighth of the one before.
      double deeper = 0.0;
      for (std::size_t i = 2; i < levels.size(); ++i) deeper += std::pow(0.125, static_cast<double>(i));
      deeper /= levels.size() > 1 ? 1.125 : 1.0;
      stage.bytes_written = scaled(sample.bytes_written, factor * (1.0 + deeper));
      stage.cpu_seconds = factor * (sample.cpu_seconds + deeper * sample.encode_cpu_seconds);
      stage.wall_seconds = factor * sample.wall_seconds * ratio(sample.cpu_seconds + deeper * sample.encode_cpu_seconds,
                                                                sample.cpu_seconds);
      // Carries are written, and read by the next pass.
      const std::size_t step = geometry.levels_per_pass();
      for (std::size_t i = step; i < levels.size(); i += step) {
        const std::int64_t carry = scaled(sample.bytes_written, factor / 1.125 * std::pow(0.125, static_cast<double>(i)));
        stage.bytes_written += carry;
        stage.bytes_read += carry;
      }
    }
    if (storage::is_remote(config_.output)) stage.requests_written = write_requests(levels, stage.bytes_written);
    plan.stages.push_back(stage);
  }

  /// A request per object; for shards, one per part, and two that begin and complete the upload.
  [[nodiscard]] std::int64_t write_requests(const std::vector<zarr::ArrayMetadata>& levels, std::int64_t bytes) const {
    const std::int64_t objects = object_count(levels);
    if (!levels.front().is_sharded()) return objects;
    const auto part = static_cast<std::int64_t>(s3_options(config_, context_.memory.limit_bytes()).part_bytes);
    return 3 * objects + bytes / part;
  }

  void add_mask(TilePlan& plan) {
    StagePlan stage;
    stage.name = "mask";
    stage.objects_written = object_count(level_metadata(outputs_.mask));
    if (probe_) {
      const double factor = 1.0 / probe_->sample_share;
      stage.bytes_written = scaled(probe_->mask.bytes_written, factor);
      stage.cpu_seconds = probe_->mask.cpu_seconds * factor;
      stage.wall_seconds = probe_->mask.wall_seconds * factor;
    }
    if (storage::is_remote(config_.output))
      stage.requests_written = write_requests(level_metadata(outputs_.mask), stage.bytes_written);
    plan.stages.push_back(stage);
  }

  /// How often each chunk of the estimation level is read for the probability, which a ramp is computed for.
  [[nodiscard]] double probability_readings() const {
    if (!reads_level(config_.fitting)) return 0.0;
    if (level_place_ == LevelPlace::kMemory) return volumes_per_chunk(estimation_.metadata());
    const ItemGeometry geometry(outputs_.probability.chunk_shape, outputs_.probability.shard_shape);
    return readings_per_chunk(estimation_.metadata(), geometry.cell, false, foreground_reach(config_.fitting));
  }

  void add_probability(TilePlan& plan) {
    StagePlan stage;
    stage.name = "probability";
    const double readings = probability_readings();
    stage.objects_read = readings > 0.0 ? low_.objects : 0;
    stage.bytes_read = scaled(low_.bytes, readings);
    stage.requests_read = scaled(zarr::chunk_count(estimation_.metadata()), readings);
    stage.objects_written = object_count(level_metadata(outputs_.probability));
    if (probe_) {
      const double factor = volumes() / probe_->learn_share;
      stage.bytes_written = scaled(probe_->probability.bytes_written, factor);
      stage.cpu_seconds = probe_->probability.cpu_seconds * factor;
      stage.wall_seconds = probe_->probability.wall_seconds * factor;
    }
    if (storage::is_remote(config_.output))
      stage.requests_written = write_requests(level_metadata(outputs_.probability), stage.bytes_written);
    plan.stages.push_back(stage);
  }

  RunContext& context_;
  const config::RunConfig& config_;
  std::string location_;
  std::string name_;
  OutputLocations places_;
  ome::Tile tile_;
  TileLevels levels_;
  zarr::Array input_;
  zarr::Array estimation_;
  TileOutputs outputs_;
  bool is_finished_;
  std::optional<TileModel> model_;
  bool fits_;
  bool refines_;
  bool learns_;
  bool has_background_image_;
  StoredSize level_0_;
  StoredSize low_;
  LevelPlace level_place_ = LevelPlace::kStore;  ///< of the estimation level while the probability is computed from it
  std::optional<Probe> probe_;
};

}  // namespace

StagePlan TilePlan::total() const {
  StagePlan sum;
  sum.name = "total";
  for (const StagePlan& stage : stages) {
    sum.objects_read += stage.objects_read;
    sum.bytes_read += stage.bytes_read;
    sum.objects_written += stage.objects_written;
    sum.requests_read += stage.requests_read;
    sum.requests_written += stage.requests_written;
    sum.bytes_written += stage.bytes_written;
    sum.cpu_seconds += stage.cpu_seconds;
    sum.wall_seconds += stage.wall_seconds;
  }
  return sum;
}

std::int64_t TilePlan::peak_bytes() const {
  std::int64_t most = 0;
  for (const execution::StageNeeds& stage : memory) most = std::max(most, stage.total_bytes());
  return most;
}

TilePlan plan_tile(RunContext& context, const std::string& tile_location, PlanEffort effort) {
  return Planner(context, tile_location).plan(effort);
}

}  // namespace flatfield::pipeline
