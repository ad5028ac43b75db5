#include "flatfield/pipeline/tile_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/local_folders.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/storage/write_probe.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

/// An output must never overwrite, or lie in, what is read.
void check_apart(const std::string& input, const std::string& output) {
  if (lies_within(input, output) || lies_within(output, input))
    throw Error(ErrorCode::kUsage, "the output " + output + " would overwrite the input", input,
                "choose another --output");
}

/// Proves that an output can be written to its place, which is not that of the tile, and leaves no folder there that was not
/// there before.
void prove_place(const std::string& place, storage::Store& store, const storage::Store& tile) {
  const MadeFolders made(place);
  storage::prove_writable(store, &tile);
}

/// Throws Error(kOutputExists) if somebody has begun or finished an image where none was when the run began: it may have
/// learnt for hours since. Of parts that begin at the same time one may have been here: its claim id, if so.
std::optional<std::string> claim_of_another_part(const storage::Store& store, const Json& fingerprint, bool has_parts) {
  const OutputState state = output_state(store);
  if (state == OutputState::kAbsent) return std::nullopt;
  if (has_parts && state != OutputState::kFinished)
    if (auto id = resumable_claim(store, fingerprint, false)) return id;
  throw Error(ErrorCode::kOutputExists, "another run has been here since this one began", store.describe(""),
              "look at what it has made; the same command goes on with it where it can");
}

/// The claim id of an image that an earlier run has begun, and this one goes on with; none if there is none. Throws
/// Error(kOutputExists) where it may not begin afresh either.
std::optional<std::string> claim_to_go_on_with(const storage::Store& store, const Json& fingerprint, bool overwrite) {
  // Looked at twice, as another part may just be beginning there.
  if (output_state(store) == OutputState::kAbsent) return std::nullopt;
  if (auto id = resumable_claim(store, fingerprint, overwrite)) return id;
  check_place(store, overwrite);
  return std::nullopt;
}

}  // namespace

TilePlaces::Place TilePlaces::make(const std::string& location, storage::Caching caching) const {
  check_apart(location_, location);
  return {location, context_.stores.open(location, caching), false, "", nullptr};
}

std::vector<TilePlaces::Place*> TilePlaces::all() {
  std::vector<Place*> places{&corrected_};
  for (std::optional<Place>* place : {&mask_, &probability_})
    if (*place) places.push_back(&**place);
  return places;
}

bool TilePlaces::holds_finished() const {
  check_apart(location_, outputs_.corrected);
  return !context_.config.overwrite &&
         output_state(*context_.stores.open(outputs_.corrected)) == OutputState::kFinished;
}

bool TilePlaces::release_if_finished() {
  return context_.processes.ask_first([&] {
    if (!holds_finished()) return false;
    for (const std::string& place : {outputs_.corrected, outputs_.mask, outputs_.probability})
      if (const auto store = context_.stores.open(place); output_state(*store) == OutputState::kFinished)
        release_place(*store);
    return true;
  });
}

void TilePlaces::choose(bool with_mask, bool with_probability, storage::Caching caching) {
  corrected_ = make(outputs_.corrected, caching);
  if (with_mask) mask_ = make(outputs_.mask);
  if (with_probability) probability_ = make(outputs_.probability);
}

void TilePlaces::examine(const Json& fingerprint) {
  context_.processes.first_only([&] { refuse_stale(); });
  const bool overwrite = context_.config.overwrite;
  const auto tile = context_.stores.open(location_);
  for (Place* place : all())
    place->resumed = context_.processes.ask_first([&] {
      const std::optional<std::string> begun = claim_to_go_on_with(*place->store, fingerprint, overwrite);
      prove_place(place->location, *place->store, *tile);
      place->claim = begun.value_or("");
      return begun.has_value();
    });
  context_.processes.first_only([&] {
    // What is begun beside a corrected image that is there is that one's.
    std::string id = context_.share.parts > 1 ? shared_claim_id(fingerprint) : new_claim_id();
    if (corrected_.resumed) id = corrected_.claim;
    for (Place* place : all())
      if (!place->resumed) place->claim = id;
  });
  share_claims();
  if (resumed()) context_.log.info("an unfinished output is there: it is gone on with: " + outputs_.corrected);
}

/// Makes the claim ids of all processes those of the first.
void TilePlaces::share_claims() {
  for (Place* place : all()) {
    place->claim.resize(kClaimDigits, '0');
    context_.processes.broadcast(std::as_writable_bytes(std::span(place->claim)));
  }
}

std::optional<std::int64_t> TilePlaces::look(const Json& fingerprint) {
  refuse_stale();
  bool resumed = false;
  std::int64_t items = 0;
  for (const Place* place : all()) {
    const auto begun = claim_to_go_on_with(*place->store, fingerprint, context_.config.overwrite);
    if (!begun) continue;
    place->store->visit_all(items_key(*begun), [&](const std::string&, std::uint64_t) { ++items; });
    if (place == &corrected_) resumed = true;
  }
  return resumed ? std::optional(items) : std::nullopt;
}

void TilePlaces::leave_out(bool mask, bool probability) {
  for (const auto& [place, left_out] : {std::pair(&mask_, mask), std::pair(&probability_, probability)}) {
    if (!left_out || !*place) continue;
    context_.processes.first_only([&] {
      if (!context_.config.overwrite || output_state(*(*place)->store) == OutputState::kAbsent) return;
      // What lacks a part of itself must not look finished.
      if (!corrected_.resumed) retire_place(*corrected_.store, kBeingRemoved);
      clear_place(*(*place)->store);
    });
    place->reset();
  }
}

void TilePlaces::claim(const Json& fingerprint) {
  context_.processes.first_only([&] {
    // The corrected image last: where it is claimed all are, and a run goes on.
    std::vector<Place*> places = all();
    std::reverse(places.begin(), places.end());
    const bool has_parts = context_.share.parts > 1;
    const bool overwrite = context_.config.overwrite;
    std::erase_if(places, [&](Place* place) {
      if (place->resumed || overwrite) return place->resumed;
      const auto begun = claim_of_another_part(*place->store, fingerprint, has_parts);
      if (begun) place->claim = *begun;
      return begun.has_value();
    });
    // An image whose mask is being removed must not look finished.
    if (!corrected_.resumed && !has_parts) retire_place(*corrected_.store, kBeingRemoved);
    for (Place* place : places) {
      // Parts that begin at the same time must not clear each other's places; these are free then.
      if (!has_parts)
        clear_place(*place->store);
      else
        check_unclaimed(*place->store);
      claim_place(*place->store, fingerprint, place->claim);
    }
    if (overwrite) clear_stale();
  });
  share_claims();
}

bool TilePlaces::hold_items() {
  const std::vector<Place*> places = all();
  return std::any_of(places.begin(), places.end(), [](const Place* place) {
    return place->resumed && !place->store->list(items_key(place->claim)).empty();
  });
}

void TilePlaces::begin_anew(const Json& fingerprint) {
  context_.processes.first_only([&] {
    for (const Place* place : all()) check_claim(*place->store, place->claim);
    const std::string id = new_claim_id();
    for (Place* place : all()) {
      // In this order: where it is interrupted nothing that was noted is found, or all of it.
      const std::string noted = items_key(std::exchange(place->claim, id));
      claim_place(*place->store, fingerprint, id);
      place->store->erase_prefix(noted);
    }
  });
  share_claims();
  for (Place* place : all()) place->image.reset();
}

/// Where finished images of another run are that this one does not write again: beside the new output they would
/// pass for its mask and its probability.
std::vector<std::string> TilePlaces::stale() const {
  std::vector<std::string> locations;
  for (const auto& [place, location] :
       {std::pair(&mask_, outputs_.mask), std::pair(&probability_, outputs_.probability)}) {
    // A tile that is itself the mask of another is no remainder.
    if (*place || lies_within(location_, location) || lies_within(location, location_)) continue;
    if (output_state(*context_.stores.open(location)) == OutputState::kFinished) locations.push_back(location);
  }
  return locations;
}

/// With --overwrite clear_stale removes them.
void TilePlaces::refuse_stale() const {
  if (context_.config.overwrite) return;
  const std::vector<std::string> found = stale();
  if (found.empty()) return;
  throw Error(ErrorCode::kOutputExists, "an image of another run is there, and would pass for one of this output",
              context_.stores.open(found.front())->describe(""), "give --overwrite to remove it, or choose another --output");
}

void TilePlaces::clear_stale() {
  for (const std::string& location : stale()) {
    clear_place(*context_.stores.open(location));
    context_.log.info("removed, as it belongs to the output that is overwritten: " + location);
  }
}

void TilePlaces::note_unreadable(const storage::Store& tile, const std::string& where) {
  for (Place* place : all()) note_unreadable_chunk(*place->store, place->claim, tile, where);
}

Json TilePlaces::own_claim() const {
  return corrected_.store ? pipeline::own_claim(*corrected_.store, corrected_.claim) : Json();
}

Json TilePlaces::finished_outcome() const {
  const Json attributes = zarr::read_group_attributes(*context_.stores.open(outputs_.corrected), "");
  const Json* outcome = attributes.find(kOutcomeKey);
  return outcome != nullptr && outcome->is_object() ? *outcome : Json();
}

void TilePlaces::give_up(const std::string& why) {
  for (Place* place : all())
    if (!pipeline::own_claim(*place->store, place->claim).is_null()) retire_place(*place->store, why);
}

void TilePlaces::release() {
  for (Place* place : all())
    if (!pipeline::own_claim(*place->store, place->claim).is_null()) release_place(*place->store);
}

void TilePlaces::check_own() const { check_claim(*corrected_.store, corrected_.claim); }

OutputImage& TilePlaces::open(Place& place, const OutputPlan& plan) {
  if (!place.image) {
    check_claim(*place.store, place.claim);  // before its metadata are written
    place.image = std::make_unique<OutputImage>(place.store, plan);
    place.image->keep_ledger(place.resumed, place.claim);
    if (place.resumed && context_.processes.is_first()) forget_lost(place, plan);
  }
  return *place.image;
}

/// What a crash of the machine has taken is found before hours are spent on the rest.
void TilePlaces::forget_lost(const Place& place, const OutputPlan& plan) {
  constexpr std::int64_t kSizeBytes = 8;  // of each object, as it is found
  const auto held = context_.memory.reserve("checksums", kSizeBytes * object_count(level_metadata(plan)));
  const LostItems lost = place.image->forget_lost(context_.share);
  if (lost.count > 0)
    context_.log.warning(fmt::format("an object is not there as it was written, and {} items are to be done again: {}",
                                     lost.count, lost.first));
}

}  // namespace flatfield::pipeline
