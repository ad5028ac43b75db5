#include "flatfield/pipeline/tile_places.h"

#include <algorithm>
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
/// learnt for hours since. Of parts that begin at the same time one may have been here. True if so.
bool is_begun_by_another_part(const storage::Store& store, const Json& fingerprint, bool has_parts) {
  const OutputState state = output_state(store);
  if (state == OutputState::kAbsent) return false;
  if (has_parts && state != OutputState::kFinished && is_resumable(store, fingerprint, false)) return true;
  throw Error(ErrorCode::kOutputExists, "another run has been here since this one began", store.describe(""),
              "look at what it has made; the same command goes on with it where it can");
}

/// Whether an earlier run has begun an image that this one goes on with. Throws Error(kOutputExists) where it may not begin
/// afresh either.
bool is_gone_on_with(const storage::Store& store, const Json& fingerprint, bool overwrite) {
  // Looked at twice, as another part may just be beginning there.
  if (output_state(store) == OutputState::kAbsent) return false;
  if (is_resumable(store, fingerprint, overwrite)) return true;
  check_place(store, overwrite);
  return false;
}

}  // namespace

TilePlaces::Place TilePlaces::make(const std::string& location, storage::Caching caching) const {
  check_apart(location_, location);
  return {location, context_.stores.open(location, caching), false, nullptr};
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
  claim_.assign(kClaimDigits, '0');
  context_.processes.first_only([&] { claim_ = claim_id(fingerprint); });
  context_.processes.broadcast(std::as_writable_bytes(std::span(claim_)));
  context_.processes.first_only([&] { refuse_stale(); });
  const bool overwrite = context_.config.overwrite;
  const auto tile = context_.stores.open(location_);
  for (Place* place : all())
    place->resumed = context_.processes.ask_first([&] {
      const bool resumed = is_gone_on_with(*place->store, fingerprint, overwrite);
      prove_place(place->location, *place->store, *tile);
      return resumed;
    });
  if (resumed()) context_.log.info("an unfinished output is there: it is gone on with: " + outputs_.corrected);
}

std::optional<std::int64_t> TilePlaces::look(const Json& fingerprint) {
  refuse_stale();
  const std::string noted = items_key(claim_id(fingerprint));
  bool resumed = false;
  std::int64_t items = 0;
  for (const Place* place : all()) {
    if (!is_gone_on_with(*place->store, fingerprint, context_.config.overwrite)) continue;
    place->store->visit_all(noted, [&](const std::string&, std::uint64_t) { ++items; });
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
    std::erase_if(places, [&](const Place* place) {
      return place->resumed || (!overwrite && is_begun_by_another_part(*place->store, fingerprint, has_parts));
    });
    // An image whose mask is being removed must not look finished.
    if (!corrected_.resumed && !has_parts) retire_place(*corrected_.store, kBeingRemoved);
    for (Place* place : places) {
      // Parts that begin at the same time must not clear each other's places; these are free then.
      if (!has_parts)
        clear_place(*place->store);
      else
        check_unclaimed(*place->store);
      claim_place(*place->store, fingerprint);
    }
    if (overwrite) clear_stale();
  });
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
  for (Place* place : all()) note_unreadable_chunk(*place->store, tile, where);
}

Json TilePlaces::own_claim(const Json& fingerprint) const {
  return corrected_.store ? pipeline::own_claim(*corrected_.store, fingerprint) : Json();
}

Json TilePlaces::finished_outcome() const {
  const Json attributes = zarr::read_group_attributes(*context_.stores.open(outputs_.corrected), "");
  const Json* outcome = attributes.find(kOutcomeKey);
  return outcome != nullptr && outcome->is_object() ? *outcome : Json();
}

void TilePlaces::give_up(const std::string& why, const Json& fingerprint) {
  for (Place* place : all())
    if (!pipeline::own_claim(*place->store, fingerprint).is_null()) retire_place(*place->store, why);
}

void TilePlaces::release() {
  for (Place* place : all())
    if (is_claimed(*place->store, claim_)) release_place(*place->store);
}

void TilePlaces::check_own() const { check_claim(*corrected_.store, claim_); }

OutputImage& TilePlaces::open(Place& place, const OutputPlan& plan) {
  if (!place.image) {
    check_claim(*place.store, claim_);  // before its metadata are written
    place.image = std::make_unique<OutputImage>(place.store, plan);
    place.image->keep_ledger(place.resumed, claim_);
  }
  return *place.image;
}

}  // namespace flatfield::pipeline
