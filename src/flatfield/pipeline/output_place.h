#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "flatfield/core/json.h"
#include "flatfield/storage/store.h"

namespace flatfield::pipeline {

/// Key of what is beside an image while it is written: carries, ledger, model, and whose it is.
inline constexpr const char* kScratchName = ".exaspim_flatfield_scratch";

/// What is at the place of an output.
enum class OutputState : std::uint8_t {
  kAbsent,  ///< nothing, or nothing but what runs leave that were killed before they began to write
  kUnfinished,
  kFinished,
  kSomethingElse,
};
[[nodiscard]] OutputState output_state(const storage::Store& store);

/// Throws Error(kOutputExists) unless an output can go there: the place is free or, with `overwrite`, holds a Zarr.
void check_place(const storage::Store& store, bool overwrite);

inline constexpr std::size_t kClaimDigits = 16;
/// A name for what a run begins, of kClaimDigits hexadecimal digits, which nothing that was begun before has: of two runs that
/// begin the same one after the other, the first must not go on in what is that of the second.
[[nodiscard]] std::string new_claim_id();
/// The name that all parts give an output which they begin together, each for itself: it follows from the fingerprint.
[[nodiscard]] std::string shared_claim_id(const Json& fingerprint);

/// The claim id of the output that the run with this fingerprint has begun there and can go on with; none if there is none. An
/// output that was begun otherwise throws Error(kOutputExists) that says what differs, unless it is to be overwritten.
[[nodiscard]] std::optional<std::string> resumable_claim(const storage::Store& store, const Json& fingerprint, bool overwrite);
/// Notes that the place belongs to the runs with this fingerprint that know this claim id. To be done before anything is
/// written there.
void claim_place(storage::Store& store, const Json& fingerprint, const std::string& id);
/// Throws Error(kOutputExists) where items are noted at a place that is nobody's: who claims it without clearing it would take
/// them for done.
void check_unclaimed(const storage::Store& store);
/// Removes what is beside the image, if there is something: the run is over.
void release_place(storage::Store& store);

/// Where the items of an output are noted by runs with this claim id; "" = by all.
[[nodiscard]] std::string items_key(const std::string& claim = "");
/// Throws Error(kOutputExists) unless the place still belongs to the runs of a claim id: it may have been removed, or begun
/// anew by another, while this one stood still.
void check_claim(const storage::Store& store, const std::string& id);
/// What the place is claimed with, if that is for the runs of a claim id; null if it is not, or the place is nobody's: another
/// run may have finished there, or begun.
[[nodiscard]] Json own_claim(const storage::Store& store, const std::string& id);
/// Notes that a chunk of the tile could not be read: note_unreadable, in the fingerprint that the place is claimed with, if
/// that is for the runs of a claim id.
void note_unreadable_chunk(storage::Store& store, const std::string& id, const storage::Store& tile,
                           const std::string& where);

inline constexpr const char* kBeingRemoved = "it was being removed";
/// What is at the place, if anything is, looks neither finished nor like something to go on with from now on; `why` is what
/// messages say.
void retire_place(storage::Store& store, const std::string& why);
/// Removes what is at the place of an output, which is retired first: this may be interrupted, and then done again. What says
/// whose the place is goes last.
void clear_place(storage::Store& store);

}  // namespace flatfield::pipeline
