#pragma once

#include <optional>
#include <vector>

#include "flatfield/pipeline/input_tile.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/report/volume_portrait.h"

namespace flatfield::pipeline {

/// What a run shows of what it learnt from a tile. Of several processes the first shows it; the others do nothing here.
class LearnedResults {
 public:
  /// Both must outlive it.
  LearnedResults(RunContext& context, const InputTile& input) : context_(context), input_(input) {}

  /// --save-outputs: files and diagrams in the results directory, in place of those of an earlier run, of which this one
  /// may not have all. What cannot be written is a warning.
  void save(const ModelVolume& volume) const;
  void save(const TileModel& model) const;
  /// Removes what is saved there of an output that is overwritten, where this run saves nothing: beside the new output it
  /// would pass for its.
  void remove_overwritten(const TileModel& model) const;
  /// --dump-learned: for tests. Throws Error.
  void dump(const ModelVolume& volume) const;
  /// --report: pictures of a volume; none where no report is written, or they cannot be made.
  [[nodiscard]] std::optional<report::VolumePictures> pictures(const ModelVolume& volume) const;
  /// These are of what was judged, also where --on-qc-fail leaves it out: says so in them.
  void mark_rejected(const TileModel& model, std::vector<report::VolumePictures>& pictures) const;

 private:
  RunContext& context_;
  const InputTile& input_;
};

}  // namespace flatfield::pipeline
