#include "flatfield/pipeline/tile_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/curve_plots.h"
#include "flatfield/pipeline/learn_quality.h"
#include "flatfield/pipeline/learn_stage.h"
#include "flatfield/pipeline/local_folders.h"
#include "flatfield/pipeline/provenance.h"
#include "flatfield/pipeline/results.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/pipeline/tile_outputs.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/report/progress.h"
#include "flatfield/storage/open_store.h"
#include "flatfield/storage/write_probe.h"

namespace flatfield::pipeline {
namespace {

/// An output must never overwrite, or lie in, what is read.
void check_apart(const std::string& input, const std::string& output) {
  if (lies_within(input, output) || lies_within(output, input))
    throw Error(ErrorCode::kUsage, "the output " + output + " would overwrite the input", input,
                "choose another --output");
}

/// Proves that an output can be written to its place, and leaves no folder there that was not there before.
void prove_place(const std::string& place, storage::Store& store) {
  const MadeFolders made(place);
  storage::prove_writable(store);
}

void check_input(const zarr::Array& input, const Extent3& shape) {
  const DType dtype = input.metadata().dtype;
  if (dtype != DType::kUint8 && dtype != DType::kUint16)
    throw Error(ErrorCode::kUnsupported,
                "the data type " + std::string(name_of(dtype)) + " cannot be corrected", input.describe(),
                "convert the tile to uint8 or uint16");
  if (shape.empty()) throw Error(ErrorCode::kBadInput, "the level holds no voxels", input.describe());
}

struct LearnedVolume {
  ome::VolumeId id;
  Learned learned;
};

class Job {
 public:
  Job(RunContext& context, const std::string& location, const Json& parameters, TileResult& result)
      : context_(context),
        config_(context.config),
        location_(trimmed_location(location)),
        name_(location_name(location_)),
        outputs_(output_locations(config_.output, name_)),
        parameters_(parameters),
        result_(result),
        started_(report::utc_timestamp()),
        fits_(config_.method == "fitting" && !config_.skip_flat_field),
        refines_(fits_ && config_.fitting.enable_gmm_refinement) {}

  void run() {
    // Every place that this run may write to, so that all are known to be free before anything is written.
    std::vector<std::string> places{outputs_.corrected};
    if (fits_) places.push_back(outputs_.mask);
    if (refines_) places.push_back(outputs_.probability);
    for (const std::string& place : places) check_apart(location_, place);
    const ome::Tile tile = ome::Tile::open(context_.stores.open(location_));
    const TileLevels levels = choose_levels(tile, name_, config_, context_.log);
    const zarr::Array input = tile.open_array(levels.target);
    check_input(input, tile.spatial_shape(levels.target));
    const auto corrected_store = context_.stores.open(outputs_.corrected);
    if (!config_.overwrite && output_state(*corrected_store) == OutputState::kFinished) {
      context_.log.info("the output is finished already: skipped: " + outputs_.corrected);
      result_.status = TileStatus::kSkipped;
      result_.reason = "the output was finished already";
      return;
    }
    for (const std::string& place : places) {
      const auto store = context_.stores.open(place);
      check_place(*store, config_.overwrite);
      prove_place(place, *store);
    }
    if (config_.skip_flat_field && config_.skip_bkg_sub)
      context_.log.info("--skip-flat-field and --skip-bkg-sub: the tile is rewritten with a pyramid");

    plans_ = plan_tile_outputs(tile, name_, levels, input, config_, context_.log);
    const zarr::Array estimation = tile.open_array(levels.estimation);
    const MemoryFacts memory = memory_facts(input.metadata(), estimation.metadata());
    execution::check_needs(tile_needs(memory), context_.memory.limit_bytes());
    std::vector<execution::MemoryBudget::Reservation> held;
    for (const execution::MemoryNeed& need : standing_needs(memory))
      held.push_back(context_.memory.reserve(need.consumer, need.bytes));
    const std::vector<LearnedVolume> learned = learn_all(tile, levels);
    for (const std::string& place : places) clear_place(*context_.stores.open(place));
    if (config_.overwrite) clear_stale(places);
    write(tile, levels, learned, corrected_store);
  }

 private:
  [[nodiscard]] MemoryFacts memory_facts(const zarr::ArrayMetadata& input,
                                         const zarr::ArrayMetadata& estimation) const {
    MemoryFacts facts{config_, input, estimation, plans_, context_.pool.workers(), fits_, refines_, 0, 0};
    if (storage::is_remote(config_.output)) {
      const storage::S3Options options = s3_options(config_, context_.memory.limit_bytes());
      facts.part_bytes = static_cast<std::int64_t>(options.part_bytes);
      facts.queue_bytes = static_cast<std::int64_t>(options.queue_bytes);
    }
    facts.is_input_remote = storage::is_remote(location_);
    return facts;
  }

  /// What is learnt from each volume, judged and kept: everything that can go wrong before a voxel is written.
  std::vector<LearnedVolume> learn_all(const ome::Tile& tile, const TileLevels& levels) {
    std::vector<LearnedVolume> all;
    for (std::int64_t t = 0; t < plans_.corrected.volumes.t; ++t)
      for (std::int64_t c = 0; c < plans_.corrected.volumes.c; ++c) {
        const ome::VolumeId id{t, c};
        Learned learned = learn(
            {tile, location_, name_, id, levels, plans_.corrected.volumes != ome::VolumeId{1, 1}}, context_);
        note_learned(learned, levels, id);
        pass_gate(learned);
        all.push_back({id, std::move(learned)});
      }
    return all;
  }

  /// --on-qc-fail: what becomes of a correction whose quality numbers fail. They are in the result already.
  void pass_gate(Learned& learned) {
    if (!learned.quality || learned.quality->verdict != methods::Verdict::kFail) return;
    const std::string reason = "quality: " + learned.quality->reasons.front();
    if (config_.on_qc_fail == "error")
      throw Error(ErrorCode::kQualityFailed, reason, location_,
                  "mend its cause, or choose another --on-qc-fail; nothing was written");
    if (config_.on_qc_fail != "background-only") return;
    context_.log.warning(reason + ": background subtraction only");
    learned.correction.curves.reset();
    learned.correction.image.reset();
    result_.status = TileStatus::kBackgroundOnly;
    result_.reason = reason;
  }

  /// Images of the run that is overwritten which this one does not write again: beside the new output they would
  /// pass for its mask and its probability.
  void clear_stale(const std::vector<std::string>& places) {
    for (const std::string& place : {outputs_.mask, outputs_.probability}) {
      if (std::find(places.begin(), places.end(), place) != places.end()) continue;
      const auto store = context_.stores.open(place);
      if (output_state(*store) != OutputState::kFinished) continue;
      clear_place(*store);
      context_.log.info("removed, as it belongs to the output that is overwritten: " + place);
    }
  }

  void note_learned(const Learned& learned, const TileLevels& levels, ome::VolumeId id) {
    const std::string label = volume_label(name_, id, plans_.corrected.volumes);
    if (config_.save_outputs) {
      save_learned(config_.results_dir, label, learned);
      save_curve_plots(join_location(config_.results_dir, label), label, learned, context_.log);
    }
    if (!config_.dump_learned.empty()) dump_learned(config_.dump_learned, learned);
    if (!learned.fallback.empty()) {
      result_.status = TileStatus::kBackgroundOnly;
      result_.reason = learned.fallback;
    }
    Json quality = quality_json(learned, levels, config_.skip_bkg_sub ? config_.pedestal : 0.0);
    if (!quality.is_null()) result_.quality[label] = std::move(quality);
  }

  void write(const ome::Tile& tile, const TileLevels& levels,
             const std::vector<LearnedVolume>& all,
             const std::shared_ptr<storage::Store>& corrected_store) {
    OutputImage corrected(corrected_store, plans_.corrected);
    std::unique_ptr<OutputImage> mask;
    std::unique_ptr<OutputImage> probability;
    for (const auto& [id, learned] : all) {
      const methods::CorrectionKernel kernel(learned.correction);
      const auto source =
          corrected_source(tile.open_volume(levels.target, id), kernel, context_.pool.workers());
      stream(*source, corrected.target(id, "corrected"), plans_.corrected,
             corrected_source_bytes(tile.open_array(levels.target).metadata(), plans_.corrected,
                                    storage::is_remote(location_)));
      if (learned.weights) {
        if (!probability) probability = open_output(outputs_.probability, plans_.probability);
        const ome::Volume estimation = tile.open_volume(levels.estimation, id);
        const auto source = foreground_source(*learned.weights, estimation, learned.correction,
                                              context_.pool);
        stream(*source, probability->target(id, "probability"), plans_.probability,
               foreground_source_bytes(*learned.weights, estimation, plans_.probability));
      }
      // The mask belongs to the geometry of the tile: its channels share it.
      if (!learned.correction.mask || mask) continue;
      mask = open_output(outputs_.mask, plans_.mask);
      stream(*mask_source(kernel), mask->target({}, "mask"), plans_.mask);
      save_low_resolution_mask(*learned.correction.mask);
    }

    const Json record = save_provenance();
    if (mask) mask->finish(Json(), record);
    if (probability) probability->finish(Json(), record);
    corrected.finish(tile.attributes(), record);
    // A tile of several volumes lies beside itself: overlaps are those of tiles of one.
    if (all.size() == 1) note_place(tile, levels, all.front().learned.correction);
    context_.log.info("written: " + outputs_.corrected);
    if (mask) context_.log.info("written: " + outputs_.mask);
    if (probability) context_.log.info("written: " + outputs_.probability);
  }

  void note_place(const ome::Tile& tile, const TileLevels& levels, const methods::Correction& correction) {
    const ome::Level& level = tile.level(levels.estimation);
    const std::vector<double> scale = tile.output_scale(level);
    const std::vector<double> translation = tile.output_translation(level);
    PlacedTile placed;
    placed.name = name_;
    placed.channel = tile_channel(name_).value_or("");
    placed.input = location_;
    placed.output = outputs_.corrected;
    placed.level = levels.estimation;
    placed.scale = {scale[2], scale[3], scale[4]};
    placed.translation = {translation[2], translation[3], translation[4]};
    placed.shape = tile.spatial_shape(levels.estimation);
    if (correction.background)
      placed.background = numerics::resize_plane(correction.background->view(), placed.shape.y, placed.shape.x,
                                                 context_.pool.as_parallel_for());
    context_.placed.push_back(std::move(placed));
  }

  std::unique_ptr<OutputImage> open_output(const std::string& location, const OutputPlan& plan) {
    return std::make_unique<OutputImage>(context_.stores.open(location), plan);
  }

  /// TILE_mask_low_res.zarr of the results directory: the mask as it was learnt with.
  void save_low_resolution_mask(const BitVolume& mask) {
    const auto store =
        context_.stores.open(join_location(config_.results_dir, name_ + "_mask_low_res.zarr"));
    clear_place(*store);
    OutputImage image(store, plans_.low_mask);
    stream(*bit_source(mask), image.target({}, "low-resolution mask"), plans_.low_mask);
    image.finish(Json(), Json());
  }

  /// `source_bytes` is what the source holds per worker.
  template <class T>
  void stream(VoxelSource<T>& source, const PyramidTarget& target, const OutputPlan& plan,
              std::int64_t source_bytes = 0) {
    const std::int64_t part_bytes =
        storage::is_remote(config_.output)
            ? static_cast<std::int64_t>(s3_options(config_, context_.memory.limit_bytes()).part_bytes)
            : 0;
    const StreamMemory memory = stream_memory(plan, source_bytes, context_.pool.workers(), part_bytes);
    const auto workers = context_.memory.reserve("workers", memory.workers_bytes);
    const auto items =
        context_.memory.reserve("items", memory.items_bytes(context_.memory.free_bytes()));
    const Extent3& shape = target.levels.front().shape();
    report::Progress progress(context_.log, target.name,
                              shape.volume() * static_cast<std::int64_t>(sizeof(T)));
    write_pyramid(source, target, context_.pool, memory.without_uploads(items.bytes()),
                  [&](const execution::WorkItem& item) { progress.advance(item.voxel_bytes()); });
  }

  Json save_provenance() {
    ProvenanceRequest request;
    request.tile_location = location_;
    request.output = trimmed_location(config_.output);
    request.results_dir = config_.results_dir;
    request.schema = config_.metadata_schema;
    request.start_date_time = started_;
    request.parameters = parameters_;
    request.cpu_cores = context_.pool.workers();
    request.memory_bytes = context_.memory.limit_bytes();
    return write_provenance(request);
  }

  RunContext& context_;
  const config::RunConfig& config_;
  std::string location_;
  std::string name_;
  OutputLocations outputs_;
  const Json& parameters_;
  TileResult& result_;
  std::string started_;
  bool fits_;
  bool refines_;
  TileOutputs plans_;
};

}  // namespace

std::string_view status_name(TileStatus status) noexcept {
  switch (status) {
    case TileStatus::kCorrected: return "corrected";
    case TileStatus::kBackgroundOnly: return "background_only";
    case TileStatus::kSkipped: return "skipped";
  }
  return "corrected";
}

void correct_tile(RunContext& context, const std::string& tile_location, const Json& parameters,
                  TileResult& result) {
  Job(context, tile_location, parameters, result).run();
}

}  // namespace flatfield::pipeline
