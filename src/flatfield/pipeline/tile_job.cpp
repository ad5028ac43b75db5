#include "flatfield/pipeline/tile_job.h"

#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/fail_point.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/image_streaming.h"
#include "flatfield/pipeline/input_tile.h"
#include "flatfield/pipeline/learn_tile.h"
#include "flatfield/pipeline/learned_results.h"
#include "flatfield/pipeline/low_resolution_mask.h"
#include "flatfield/pipeline/model_place.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/provenance.h"
#include "flatfield/pipeline/results.h"
#include "flatfield/pipeline/skipped_tile.h"
#include "flatfield/pipeline/tile_fingerprint.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/pipeline/tile_outputs.h"
#include "flatfield/pipeline/tile_passes.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_places.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {
namespace {

using config::RunStep;

/// A correction of a tile in its three steps. What one leaves for the next is in the scratch area of the corrected image,
/// or with --model in a file; `run` takes the steps one after the other.
class Job {
 public:
  Job(RunContext& context, const std::string& location, Json& parameters, TileResult& result,
      const std::function<void()>& before_finished)
      : context_(context),
        config_(context.config),
        started_(report::utc_timestamp()),
        input_(context, location),
        outputs_(output_locations(config_.output, input_.name())),
        places_(context, input_.location(), outputs_),
        parameters_(parameters),
        result_(result),
        before_finished_(before_finished),
        streaming_(context, result.items),
        learned_results_(context, input_),
        estimates_(context.step == RunStep::kEstimate || (context.step == RunStep::kRun && config_.model.empty())),
        applies_(context.step == RunStep::kRun || context.step == RunStep::kApply),
        finalizes_(context.step == RunStep::kRun || context.step == RunStep::kFinalize),
        writes_image_(context.step != RunStep::kEstimate || config_.model.empty()) {}

  void run() {
    if (config_.skip_flat_field && config_.skip_bkg_sub && config_.pedestal == 0.0)
      context_.log.info("--skip-flat-field and --skip-bkg-sub: the tile is rewritten with a pyramid");
    if (!estimates_ && !config_.model.empty()) take_given_model();
    choose_places();
    if (writes_image_) examine_places();
    plans_ = plan_tile_outputs(input_.tile(), input_.name(), input_.levels(), input_.array(), config_, context_.log);
    const std::vector<execution::MemoryBudget::Reservation> held = reserve_memory();
    if (estimates_) estimate();
    if (writes_image_ && !estimates_) take_model();
    if (applies_) apply_or_note();
    if (finalizes_) finalize();
  }

 private:
  /// Every place that this run may write to, so that all are known to be free before anything is written.
  void choose_places() {
    const bool learns_curves = config_.method == "fitting" && !config_.skip_flat_field;
    fits_ = model_ ? model_->has_mask() : learns_curves;
    refines_ = !model_ && learns_curves && config_.fitting.enable_gmm_refinement;
    if (writes_image_) places_.choose(fits_, refines_, input_.caching());
  }

  void examine_places() {
    context_.processes.first_only([&] {
      const Json& identity = input_.identity();
      if (const std::string lack = lack_of_chunks(identity); !lack.empty())
        context_.log.warning(input_.location() + ": " + lack);
      fingerprint_ = tile_fingerprint(context_, input_.location(), identity, given_identity_);
    });
    places_.examine(fingerprint_);
  }

  [[nodiscard]] MemoryFacts memory_facts(const zarr::ArrayMetadata& estimation) const {
    MemoryFacts facts{config_, input_.array().metadata(), estimation, plans_, context_.pool.workers(), fits_,
                      refines_, estimates_};
    note_remote_places(facts, input_.location(), context_.memory.limit_bytes());
    return facts;
  }

  [[nodiscard]] std::vector<execution::MemoryBudget::Reservation> reserve_memory() const {
    const zarr::Array estimation = input_.tile().open_array(input_.levels().estimation);
    MemoryFacts memory = memory_facts(estimation.metadata());
    if (context_.masks) note_masks(memory, *context_.masks, input_.name());
    execution::check_needs(tile_needs(memory), context_.memory.limit_bytes());
    std::vector<execution::MemoryBudget::Reservation> held;
    for (const execution::MemoryNeed& need : standing_needs(memory))
      held.push_back(context_.memory.reserve(need.consumer, need.bytes));
    return held;
  }

  // -------------------------------------------------------------------------------------------
  // Models

  [[nodiscard]] ModelPlace given_model() const { return given_model_place(context_, input_.name()); }
  [[nodiscard]] ModelPlace scratch_model() const {
    return {places_.store(), storage::join_key(kScratchName, "model.npz")};
  }

  [[nodiscard]] TileModel load(const ModelPlace& place) {
    return load_model(place, {input_.location(), input_.name(), outputs_.corrected, input_.shape(), input_.volume_counts()},
                      context_);
  }

  /// --model.
  void take_given_model() {
    const ModelPlace place = given_model();
    model_ = load(place);
    given_identity_ = model_identity(place);
    check_options(*model_, parameters_, context_);
    take_learning_options(*model_, parameters_);
    judge_model(*model_, context_);
    show_loaded_model();
  }

  /// What an earlier step or start has warned of belongs into the report of this one too, if that is one of the whole tile.
  void show_loaded_model() {
    note_model();
    for (const ModelVolume& volume : model_->volumes) {
      if (config_.model.empty() && context_.step != RunStep::kApply)
        for (const std::string& warning : volume.learned.warnings) context_.log.warning(warning);
      picture(volume);
    }
    learned_results_.mark_rejected(*model_, result_.pictures);
  }

  void note_model() {
    // Numbers that were measured on another tile say nothing of this one.
    const bool is_of_this_tile = absolute_location(model_->tile) == absolute_location(input_.location());
    if (model_->is_background_only()) result_.status = TileStatus::kBackgroundOnly;
    result_.reason = model_->reason();
    for (const ModelVolume& volume : model_->volumes) {
      if (is_of_this_tile && !volume.quality.is_null()) result_.quality[input_.label(volume.id)] = volume.quality;
      if (context_.masks && estimates_ && volume.learned.correction.mask)
        context_.masks->adopt(input_.name(), *volume.learned.correction.mask);
    }
  }

  /// The model that an earlier step has left, for apply and finalize.
  void take_model() {
    if (!model_) {
      const ModelPlace model = scratch_model();
      if (!places_.resumed() || !holds_model(model, context_))
        throw Error(ErrorCode::kNotFound, "there is no model beside the output", outputs_.corrected,
                    "estimate first with the same options, or name a model with --model");
      model_ = load(model);
      show_loaded_model();
    }
    claim_places();
  }

  // -------------------------------------------------------------------------------------------
  // Estimate

  void estimate() {
    if (writes_image_ && places_.resumed() && take_scratch_model()) {
      learned_results_.save(*model_);
    } else {
      fail_point("learn.begin");
      const auto masks_before = model_ ? std::optional(mask_checksums(*model_)) : std::nullopt;
      learn_all();
      fail_point("learn.end");
      context_.processes.first_only([&] { check_tile_is_the_same(); });
      const ModelPlace to = writes_image_ ? scratch_model() : given_model();
      if (writes_image_) {
        claim_places();
        leave_what_another_mask_made(masks_before);
      }
      context_.processes.first_only([&] {
        if (writes_image_) places_.check_own();
        write_model(*to.store, to.key, *model_);
      });
      if (writes_image_)
        write_probability();
      else
        context_.log.info("model: " + model_location(config_.model, input_.name()));
      fail_point("learn.written");
    }
    if (context_.step == RunStep::kEstimate) result_.status = TileStatus::kEstimated;
  }

  /// Takes the places of the images that the model makes; once, as what is claimed again is removed.
  void claim_places() {
    if (std::exchange(claimed_, true)) return;
    places_.leave_out(!model_->has_mask(), !model_->has_probability());
    places_.claim(fingerprint_);
    if (estimates_) learned_results_.remove_overwritten(*model_);
  }

  /// Which mask a tile has may depend on the other tiles of the run: channels share that of the first. What was made with
  /// another one than this model has, or with one that is not known, is not gone on with.
  void leave_what_another_mask_made(const std::optional<std::vector<std::string>>& masks_before) {
    const bool is_another = context_.processes.ask_first([&] {
      return masks_before ? *masks_before != mask_checksums(*model_) : model_->has_mask() && places_.hold_items();
    });
    if (!is_another) return;
    context_.log.warning("what is there was made with another mask, or with one that is not known any more: it is made again");
    places_.begin_anew(fingerprint_);
  }

  /// The model that an earlier run has left, with the places of its images; false where there is none, or one that a crash
  /// of the machine has damaged, or what only learning makes was lost.
  [[nodiscard]] bool take_scratch_model() {
    if (!holds_model(scratch_model(), context_)) return false;
    try {
      model_ = load(scratch_model());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBadInput) throw;
      context_.log.warning(std::string("what was learnt before cannot be read, and is learnt again: ") + error.what());
      return false;
    }
    claim_places();
    if (refines_ && lacks_probability(passes(), *model_)) {
      context_.log.warning("the probability is not whole, and is made while the tile is learnt from, which is done again");
      return false;
    }
    show_loaded_model();
    return true;
  }

  /// The same tile and options give the same model again; where one is there already, that says when it was learnt first.
  void learn_all() {
    const std::string created = model_ ? model_->created : started_;
    model_.emplace();
    model_->tile = absolute_location(input_.location());
    model_->created = created;
    model_->shape = input_.shape();
    model_->configuration = parameters_;
    if (is_first()) model_->input = input_.identity();
    model_->levels = input_.levels();
    const LearnRequest request{input_.tile(), input_.location(), input_.name(), input_.levels(), plans_.corrected.volumes};
    model_->volumes = learn_tile(request, context_, [&](const ModelVolume& volume) {
      if (!volume.quality.is_null()) result_.quality[input_.label(volume.id)] = volume.quality;
      learned_results_.save(volume);
      learned_results_.dump(volume);
      picture(volume);
    });
    learned_results_.mark_rejected(*model_, result_.pictures);
    note_model();
  }

  /// --report: what it shows of a volume.
  void picture(const ModelVolume& volume) {
    if (context_.step == RunStep::kApply) return;  // finalize writes the report
    if (auto pictures = learned_results_.pictures(volume)) result_.pictures.push_back(std::move(*pictures));
  }

  /// The probability is made of what was learnt and is not in the model: where it is not whole, the tile is learnt from again.
  /// The model is there before it, so that what was made with it is known then.
  void write_probability() {
    if (!model_->has_probability()) return;
    const zarr::Array estimation = input_.tile().open_array(input_.levels().estimation);
    pipeline::write_probability(passes(), *model_, memory_facts(estimation.metadata()));
  }

  // -------------------------------------------------------------------------------------------
  // Apply

  void apply() {
    if (finalizes_ && !config_.model.empty()) learned_results_.save(*model_);
    write_corrected(passes(), *model_);
    if (context_.step == RunStep::kApply) result_.status = TileStatus::kApplied;
  }

  void apply_or_note() {
    try {
      apply();
    } catch (const Error& error) {
      if (is_first()) note_failure(error);
      throw;
    }
    if (context_.step == RunStep::kApply) context_.processes.first_only([&] { require_same_tile(); });
  }

  /// A damaged chunk may be mended before the run goes on; what was made of a tile that is another now may not be gone on
  /// with.
  void note_failure(const Error& error) {
    try {
      places_.note_unreadable(*input_.array().shared_store(), error.where());
      if (error.code() == ErrorCode::kInterrupted) return;  // who goes on looks at the tile
      if (const std::string change = change_of_tile(); !change.empty()) places_.give_up(change);
    } catch (const std::exception& second) {
      context_.log.warning(second.what());  // the first is what the run ends with
    }
  }

  // -------------------------------------------------------------------------------------------
  // Finalize

  void finalize() {
    const bool has_mask = model_->has_mask();
    if (has_mask) streaming_.later_passes<std::uint8_t>(mask().target({}, "mask"), plans_.mask);
    const bool has_probability = refines_ && model_->has_probability();
    for (ModelVolume& volume : model_->volumes) {
      streaming_.later_passes<std::uint16_t>(corrected().target(volume.id, "corrected"), plans_.corrected);
      if (has_probability) streaming_.later_passes<float>(probability_target(passes(), volume.id), plans_.probability);
    }
    before_finished_();
    context_.processes.first_only([&] { finish(has_mask, has_probability); });
  }

  /// What of the tile is not as it was when the run began; "" if nothing is.
  [[nodiscard]] std::string change_of_tile() {
    // As it is claimed, where that is known: with the chunks that could not be read by other parts, and may be mended.
    const Json claim = writes_image_ ? places_.own_claim() : Json();
    const Json* claimed = claim.is_null() ? nullptr : claim.find("tile");
    return input_.change_since(claimed != nullptr ? *claimed : input_.identity());
  }

  /// Before anything was written of it.
  void check_tile_is_the_same() {
    if (const std::string change = change_of_tile(); !change.empty())
      throw Error(ErrorCode::kBadInput, change, input_.location(), "let nothing else write to it, and start again");
  }

  /// What was written is given up otherwise.
  void require_same_tile() {
    const std::string change = change_of_tile();
    if (change.empty()) return;
    places_.give_up(change);
    throw Error(ErrorCode::kBadInput, change, input_.location(),
                "let nothing else write to it, and start again with --overwrite");
  }

  /// What is done once, when all items are. Nothing can be asked to stop any more when the first image is finished.
  void finish(bool has_mask, bool has_probability) {
    require_same_tile();
    write_diagnostic("the low-resolution mask", context_.log, [&] {
      if (!has_mask) return remove_low_resolution_mask(low_mask_location(), context_);
      const BitVolume& low = *model_->masked()->learned.correction.mask;
      result_.low_mask = mask_checksum(low);
      write_low_resolution_mask(low_mask_location(), context_, low, plans_.low_mask, streaming_);
    });
    if (context_.step == RunStep::kFinalize) learned_results_.save(*model_);
    std::optional<PlacedTile> placed = place_for_overlaps(input_, outputs_.corrected, *model_, context_);

    const auto sums = context_.memory.reserve("checksums", finishing_need(plans_).bytes);
    // Steps of their own, or a run that went on: what was learnt first is the start.
    const std::string& start = config_.model.empty() && model_ ? model_->created : started_;
    const Json record = write_provenance(context_, input_.location(), start, parameters_);
    if (context_.keep_results) context_.keep_results();
    if (has_mask) mask().finish(Json(), record);
    if (has_probability) probability().finish(Json(), record);
    corrected().finish(input_.tile().attributes(), record, outcome_json(result_));
    places_.release();
    if (placed) context_.placed.push_back(std::move(*placed));
    context_.log.info("written: " + outputs_.corrected);
    if (has_mask) context_.log.info("written: " + outputs_.mask);
    if (has_probability) context_.log.info("written: " + outputs_.probability);
  }

  // -------------------------------------------------------------------------------------------
  // Images and results

  [[nodiscard]] TilePasses passes() { return {context_, input_, places_, plans_, streaming_}; }
  OutputImage& corrected() { return places_.corrected(plans_); }
  OutputImage& mask() { return places_.mask(plans_); }
  OutputImage& probability() { return places_.probability(plans_); }

  /// Whether this process is the one that speaks for all.
  [[nodiscard]] bool is_first() const { return context_.processes.is_first(); }

  [[nodiscard]] std::string low_mask_location() const {
    return low_resolution_mask_location(config_.results_dir, input_.name());
  }

  RunContext& context_;
  const config::RunConfig& config_;
  std::string started_;
  InputTile input_;
  OutputLocations outputs_;
  TilePlaces places_;
  Json& parameters_;
  TileResult& result_;
  const std::function<void()>& before_finished_;
  ImageStreaming streaming_;
  LearnedResults learned_results_;
  bool estimates_;
  bool applies_;
  bool finalizes_;
  bool writes_image_;  ///< false: what is learnt goes into a file, and nothing else is written

  bool fits_ = false;
  bool refines_ = false;
  bool claimed_ = false;
  Json fingerprint_;
  Json given_identity_;  ///< of the file of --model that is corrected with
  TileOutputs plans_;
  std::optional<TileModel> model_;
};

}  // namespace

void correct_tile(RunContext& context, const std::string& tile_location, Json& parameters, TileResult& result,
                  const std::function<void()>& before_finished) {
  // Before the tile is opened, which may have been archived since.
  if (!skip_if_finished(context, tile_location, result))
    Job(context, tile_location, parameters, result, before_finished).run();
}

}  // namespace flatfield::pipeline
