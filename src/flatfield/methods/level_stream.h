#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/extent.h"
#include "flatfield/core/merge.h"

namespace flatfield::methods {

/// Consecutive planes [first, last) of a level.
struct PlaneRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  friend bool operator==(const PlaneRange&, const PlaneRange&) = default;
};

/// The ranges of consecutive planes that ascending planes make up.
[[nodiscard]] std::vector<PlaneRange> plane_ranges(std::span<const std::int64_t> planes);

/// A part of a level as a LevelStream hands it out. The memory is the visitor's until it returns.
struct LevelBlock {
  Box3 box;   ///< of the level: what this visit is about
  Box3 seen;  ///< `box` and the halo around it, as far as the level has voxels there
  int worker = 0;  ///< who visits: 0 .. LevelStream::workers() - 1
  /// The voxels of `seen`, contiguous: they may be overwritten.
  BlockView<float> values;
  /// More memory of the same shape, as many volumes as were asked for; its content is anything.
  std::span<const BlockView<float>> spare;

  /// `box` as a part of `seen`.
  [[nodiscard]] Box3 inner() const { return {box.origin - seen.origin, box.shape}; }
};

/// Replaces the values of a box of a level, in place, each by what depends on it and its place alone.
using LevelChange = std::function<void(const Box3& box, BlockView<float> values)>;

/// What a pass over a level needs.
struct LevelPass {
  Extent3 halo;  ///< voxels around each box that the visitor must see
  int spare_volumes = 0;
  std::vector<PlaneRange> planes;  ///< ascending, disjoint; empty = all
  /// Whether the visitor wants any voxel of a box of the level: boxes of which it wants none need not be visited, and
  /// voxels that lie farther than the halo from those that it wants may have any value. From several threads; empty = it
  /// wants all.
  std::function<bool(const Box3&)> wants = {};
  /// What becomes of the values of a box of the level, in place, before a visitor sees them; empty = nothing. Called
  /// when they have just been read, plane by plane (by a BlockStream once per block), from several threads.
  LevelChange change = {};
};

/// A level (z, y, x) that need not fit into memory: it is visited part by part, as often as it takes.
/// Where the parts begin and end, their order, and how many are visited at the same time depends on
/// memory and workers, so nothing that is computed may depend on it: a visitor adds integers, takes
/// extremes, or writes to what belongs to its voxels alone. Where several processes share a level, each visits
/// its part, and what the visits have found must be merged after the pass.
class LevelStream {
 public:
  using Visitor = std::function<void(const LevelBlock&)>;

  virtual ~LevelStream() = default;
  [[nodiscard]] virtual const Extent3& shape() const = 0;
  /// Most visits that run at the same time.
  [[nodiscard]] virtual int workers() const = 0;
  /// Visits boxes that together are this process's part of the planes of the pass, as far as they are wanted, each once.
  virtual void visit(const LevelPass& pass, const Visitor& visitor) = 0;
  /// Makes what this process has found in its visits that of all.
  [[nodiscard]] virtual const Merge& merge() const { return Merge::alone(); }
};

/// A level as it is after a change of its values; it must not outlive the level.
class ChangedStream : public LevelStream {
 public:
  /// An empty change leaves all as it is.
  ChangedStream(LevelStream& level, LevelChange change) : level_(level), change_(std::move(change)) {}
  [[nodiscard]] const Extent3& shape() const override { return level_.shape(); }
  [[nodiscard]] int workers() const override { return level_.workers(); }
  void visit(const LevelPass& pass, const Visitor& visitor) override;
  [[nodiscard]] const Merge& merge() const override { return level_.merge(); }

 private:
  LevelStream& level_;
  LevelChange change_;
};

/// A level in memory as a stream; it must outlive the stream. `tile` is the shape of the boxes.
class BlockStream : public LevelStream {
 public:
  explicit BlockStream(BlockView<const float> level, const Extent3& tile = {64, 64, 64})
      : level_(level), tile_(tile) {}
  [[nodiscard]] const Extent3& shape() const override { return level_.shape; }
  [[nodiscard]] int workers() const override { return 1; }
  void visit(const LevelPass& pass, const Visitor& visitor) override;

 private:
  BlockView<const float> level_;
  Extent3 tile_;
};

}  // namespace flatfield::methods
