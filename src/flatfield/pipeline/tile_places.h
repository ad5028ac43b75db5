#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_outputs.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {

/// The output images of a tile: their places, whose these are, and the images themselves once they are written. Of
/// processes that do a run together the first looks at the places and takes them, and all learn what it found.
class TilePlaces {
 public:
  /// `location` is that of the tile, which no output may touch.
  TilePlaces(RunContext& context, std::string location, OutputLocations outputs)
      : context_(context), location_(std::move(location)), outputs_(std::move(outputs)) {}

  /// True if the corrected image is finished and not to be overwritten: a run skips it.
  [[nodiscard]] bool holds_finished() const;
  /// The same, found by the first process; if so, removes the scratch that a run has left which was killed after it had
  /// finished the image.
  [[nodiscard]] bool release_if_finished();

  /// Says which images are written beside the corrected one. Throws Error(kUsage) if one would overwrite the tile.
  /// `caching` is that of the corrected image.
  void choose(bool with_mask, bool with_probability, storage::Caching caching);
  /// Makes sure that all can be written, by this run or as one that goes on with what is there.
  /// Throws Error(kOutputExists, kWriteFailed).
  void examine(const Json& fingerprint);
  /// The same for a plan: only looks, and does not try whether it may write. Returns how many items are done of the images
  /// that a run would go on with; none if it would begin afresh. Throws Error(kOutputExists).
  [[nodiscard]] std::optional<std::int64_t> look(const Json& fingerprint);
  /// Whether an earlier run has begun the corrected image.
  [[nodiscard]] bool resumed() const { return corrected_.resumed; }
  /// Leaves out images that turn out not to be written; with --overwrite what is at their places is removed.
  void leave_out(bool mask, bool probability);
  /// Takes the places that are not gone on with, removing what is there.
  void claim(const Json& fingerprint);
  /// Notes for what was begun that a chunk of the tile could not be read (note_unreadable); to be called by one process.
  void note_unreadable(const storage::Store& tile, const std::string& where);
  /// What the corrected image is claimed with, if that is still for this run; else null.
  [[nodiscard]] Json own_claim() const;
  /// Whether items are noted of images that are gone on with; to be asked by one process.
  [[nodiscard]] bool hold_items();
  /// Of what was begun, this run's before and this one's, no item is gone on with; who else was at work there stops.
  void begin_anew(const Json& fingerprint);
  /// What came out of the tile that is finished there (kOutcomeKey); null where that does not say.
  [[nodiscard]] Json finished_outcome() const;
  /// What this run has begun, or gone on with, is not to be gone on with, as it is of two minds; what others have begun or
  /// finished there meanwhile stays. To be called by one process.
  void give_up(const std::string& why);
  /// Throws Error(kOutputExists) unless the corrected image is still claimed for this run.
  void check_own() const;
  /// The run is over: removes what is beside the images, but for what another run has begun there meanwhile; to be called by
  /// one process.
  void release();

  /// Store of the corrected image.
  [[nodiscard]] const std::shared_ptr<storage::Store>& store() const { return corrected_.store; }
  // The images, which are created when they are first asked for.
  OutputImage& corrected(const TileOutputs& plans) { return open(corrected_, plans.corrected); }
  OutputImage& mask(const TileOutputs& plans) { return open(*mask_, plans.mask); }
  OutputImage& probability(const TileOutputs& plans) { return open(*probability_, plans.probability); }

 private:
  struct Place {
    std::string location;
    std::shared_ptr<storage::Store> store;
    bool resumed = false;  ///< an earlier run of the same kind has begun it
    std::string claim;     ///< the claim id that this run writes there with
    std::unique_ptr<OutputImage> image;
  };

  [[nodiscard]] Place make(const std::string& location, storage::Caching caching = storage::Caching::kKept) const;
  [[nodiscard]] std::vector<Place*> all();
  void share_claims();
  OutputImage& open(Place& place, const OutputPlan& plan);
  void forget_lost(const Place& place, const OutputPlan& plan);
  [[nodiscard]] std::vector<std::string> stale() const;
  void refuse_stale() const;
  void clear_stale();

  RunContext& context_;
  std::string location_;
  OutputLocations outputs_;
  Place corrected_;
  std::optional<Place> mask_;
  std::optional<Place> probability_;
};

}  // namespace flatfield::pipeline
