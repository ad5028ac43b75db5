#pragma once

#include <cstdint>
#include <memory>
#include <variant>

#include "flatfield/core/block.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/methods/level_stream.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/stream_geometry.h"

namespace flatfield::pipeline {

/// A uint8 or uint16 volume as a stream of float32 boxes: read anew in each pass, or kept in memory in its own
/// data type where there is room for it.
class StreamedLevel : public methods::LevelStream {
 public:
  enum class Residence { kStreamed, kInMemory };

  /// `bytes` is what a pass may hold, the level itself not counted if it is in memory. The pool must outlive
  /// the stream. Throws Error(kUnsupported) for another data type.
  StreamedLevel(ome::Volume volume, execution::ThreadPool& pool, Residence residence, std::int64_t bytes);

  [[nodiscard]] const Extent3& shape() const override { return volume_.shape(); }
  [[nodiscard]] int workers() const override { return pool_.workers(); }
  /// Throws Error(kMemory) if a pass cannot do with its bytes.
  void visit(const methods::LevelPass& pass, const Visitor& visitor) override;

  /// Keeps the level in memory from the next pass on; its bytes do not count to those of a pass.
  void keep_in_memory() { residence_ = Residence::kInMemory; }
  /// Bytes that a pass may hold from now on.
  void set_pass_bytes(std::int64_t bytes) { bytes_ = bytes; }
  [[nodiscard]] std::int64_t pass_bytes() const { return bytes_; }
  [[nodiscard]] const ome::Volume& volume() const { return volume_; }
  /// Bytes of the level in its own data type.
  [[nodiscard]] static std::int64_t resident_bytes(const ome::Volume& volume);
  /// What a pass over a volume asks choose_geometry for.
  [[nodiscard]] static StreamRequest request_of(const ome::Volume& volume, const methods::LevelPass& pass,
                                                int workers);

 private:
  template <class T>
  class Pass;

  ome::Volume volume_;
  execution::ThreadPool& pool_;
  Residence residence_;
  std::int64_t bytes_;
  std::variant<std::monostate, Block<std::uint8_t>, Block<std::uint16_t>> level_;  ///< once it was read
};

}  // namespace flatfield::pipeline
