#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/core/merge.h"
#include "flatfield/methods/level_stream.h"

namespace flatfield::methods {

// Whether a foreground mask belongs to the volume that it is used on. Both numbers look only at
// voxels whose background-subtracted value `v_low` is not 0: the mask leaves those out by
// construction, so they would make any mask look right. Volumes and mask have one shape (z, y, x).

/// Probability that a voxel inside the mask is brighter than one outside, ties counting half: the
/// area under the ROC curve (Mann and Whitney 1947). 1 = the mask holds exactly the bright voxels,
/// 0.5 = it says nothing about brightness. `smoothed` is v_low after a Gaussian of sigma 1 voxel,
/// >= 0; values that agree within 0.2 % (9 bits of mantissa) count as ties. No value where fewer
/// than 100 voxels lie inside, or outside fewer than 100 or 1 % of all: a mask that covers
/// everything cannot be judged this way.
class BrightnessAuc {
 public:
  BrightnessAuc(BitView mask, int workers);
  /// Adds the voxels of a box, each once. From several threads, each with its own `worker`.
  void add(const Box3& box, BlockView<const float> v_low, BlockView<const float> smoothed, int worker);
  /// Of all that was added, here and in the processes that share the level.
  [[nodiscard]] std::optional<double> value(const Merge& merge = Merge::alone()) const;

 private:
  struct Counts {
    std::vector<std::int64_t> inside;
    std::vector<std::int64_t> outside;
  };
  BitView mask_;
  std::vector<Counts> counts_;
};

/// Share of the places where a line along z, y or x crosses the mask's border, with 3 voxels inside
/// before 3 outside or the other way round, at which the inner of the six is brighter than the
/// outer one, ties counting half. 1 = every border lies on an edge of the image, 0.5 = the borders
/// know nothing of it. `smoothed` is the raw level after a Gaussian of sigma 1 voxel: over so short
/// a distance neither the background nor the illumination changes, so both sides can be compared as
/// they are. No value for fewer than 100 such places.
class EdgeAgreement {
 public:
  /// Voxels behind a box, along each axis, that its lines reach.
  static constexpr std::int64_t kReach = 5;

  EdgeAgreement(BitView mask, int workers);
  /// Adds the lines that begin in `box`, each once. `v_low` and `smoothed` are of `seen`, which holds the reach
  /// behind the box as far as the level has voxels there. From several threads, each with its own `worker`.
  void add(const Box3& box, const Box3& seen, BlockView<const float> v_low, BlockView<const float> smoothed,
           int worker);
  /// Of all that was added, here and in the processes that share the level.
  [[nodiscard]] std::optional<double> value(const Merge& merge = Merge::alone()) const;

  /// How often the inner voxel was compared, in half wins, so that the sums are exact.
  struct Crossings {
    std::int64_t count = 0;
    std::int64_t half_wins = 0;
  };

 private:
  BitView mask_;
  std::vector<Crossings> found_;
};

/// The values of both.
struct MaskAgreement {
  std::optional<double> auc;
  std::optional<double> edges;
};

/// Measures both in one pass over some planes of a level (empty = all); `to_before` makes v_low of its raw values (empty =
/// they are v_low).
[[nodiscard]] MaskAgreement measure_mask_agreement(LevelStream& raw, const LevelChange& to_before, BitView mask,
                                                   std::vector<PlaneRange> planes);
/// What the pass of measure_mask_agreement sees.
[[nodiscard]] LevelPass agreement_pass();

}  // namespace flatfield::methods
