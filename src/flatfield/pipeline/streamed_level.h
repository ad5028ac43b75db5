#pragma once

#include <cstdint>
#include <memory>
#include <variant>

#include "flatfield/core/block.h"
#include "flatfield/execution/process_group.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/methods/level_stream.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/stream_geometry.h"

namespace flatfield::pipeline {

/// A uint8 or uint16 volume as a stream of float32 boxes: read anew in each pass, or kept in memory in its own
/// data type where there is room for it. The processes of a run share its rows.
class StreamedLevel : public methods::LevelStream {
 public:
  enum class Residence { kStreamed, kInMemory };

  /// `bytes` is what a pass may hold, the level itself not counted if it is in memory. The pool and the processes must
  /// outlive the stream. Throws Error(kUnsupported) for another data type.
  StreamedLevel(ome::Volume volume, execution::ThreadPool& pool, execution::ProcessGroup& processes, Residence residence,
                std::int64_t bytes);

  [[nodiscard]] const Extent3& shape() const override { return volume_.shape(); }
  [[nodiscard]] int workers() const override { return pool_.workers(); }
  /// Throws Error(kMemory) if a pass cannot do with its bytes, and in all processes what one of them throws.
  void visit(const methods::LevelPass& pass, const Visitor& visitor) override;
  [[nodiscard]] const Merge& merge() const override { return processes_; }

  /// Keeps what this process visits of the level in memory from the next pass on, with `rows_around` rows on both sides
  /// for the halos of passes; its bytes do not count to those of a pass.
  void keep_in_memory(std::int64_t rows_around) {
    residence_ = Residence::kInMemory;
    kept_around_ = rows_around;
  }
  /// Bytes that a pass may hold from now on.
  void set_pass_bytes(std::int64_t bytes) { bytes_ = bytes; }
  [[nodiscard]] const ome::Volume& volume() const { return volume_; }
  /// What a pass over a volume asks choose_geometry for.
  [[nodiscard]] static StreamRequest request_of(const ome::Volume& volume, const methods::LevelPass& pass,
                                                int workers);

 private:
  template <class T>
  class Pass;

  void visit_here(const methods::LevelPass& pass, const Visitor& visitor);
  template <class T>
  void keep_rows(const execution::Stretch& rows);

  ome::Volume volume_;
  execution::ThreadPool& pool_;
  execution::ProcessGroup& processes_;
  Residence residence_;
  std::int64_t bytes_;
  std::variant<std::monostate, Block<std::uint8_t>, Block<std::uint16_t>> level_;  ///< rows of it, once they were read
  execution::Stretch kept_;                                                        ///< which rows
  std::int64_t kept_around_ = 0;
};

}  // namespace flatfield::pipeline
