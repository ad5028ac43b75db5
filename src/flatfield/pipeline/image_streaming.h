#pragma once

#include <cstdint>

#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/volume_stage.h"

namespace flatfield::pipeline {

/// Writes the pyramids of the images of a tile, each within the memory that the run has free then, and says in the log
/// how far it is. Counts what becomes of the items.
class ImageStreaming {
 public:
  /// Both must outlive it.
  ImageStreaming(RunContext& context, ItemCounts& items) : context_(context), items_(items) {}

  /// write_first_pass. `source_bytes` is what the source holds per worker.
  template <class T>
  void first_pass(VoxelSource<T>& source, const PyramidTarget& target, const OutputPlan& plan, const Share& share,
                  std::int64_t source_bytes);
  /// write_later_passes.
  template <class T>
  void later_passes(const PyramidTarget& target, const OutputPlan& plan);
  /// write_pyramid of a small image, which is not counted.
  template <class T>
  void pyramid(VoxelSource<T>& source, const PyramidTarget& target, const OutputPlan& plan);

 private:
  RunContext& context_;
  ItemCounts& items_;
};

}  // namespace flatfield::pipeline
