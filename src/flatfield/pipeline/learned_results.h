#pragma once

#include <optional>

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

  /// --save-outputs: files and diagrams in the results directory. What cannot be written is a warning.
  void save(const ModelVolume& volume) const;
  void save(const TileModel& model) const;
  /// --dump-learned: for tests. Throws Error.
  void dump(const ModelVolume& volume) const;
  /// --report: pictures of a volume; none where no report is written, or they cannot be made.
  [[nodiscard]] std::optional<report::VolumePictures> pictures(const ModelVolume& volume) const;

 private:
  RunContext& context_;
  const InputTile& input_;
};

}  // namespace flatfield::pipeline
