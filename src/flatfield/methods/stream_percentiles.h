#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/methods/level_stream.h"
#include "flatfield/numerics/rank_search.h"

namespace flatfield::methods {

/// Two neighbouring order statistics of some values, and what they give.
struct RankResult {
  std::uint64_t total = 0;  ///< values, or units of weight; 0 = there are no order statistics
  float lower = 0;
  float upper = 0;
  double percentage = 0;

  /// numpy.percentile of values that count 1 each.
  [[nodiscard]] double linear() const;
  /// numpy.median of float32 values that count 1 each; of percentage 50.
  [[nodiscard]] float median() const;
};

/// Exact percentiles of values that are given box by box, several times over, in about `bytes`; `merge` is that of the
/// processes that share the boxes:
///
///   while (!percentiles.done()) { all boxes: add(...);  percentiles.end_pass(merge); }
class StreamPercentiles {
 public:
  StreamPercentiles(const std::vector<double>& percentages, numerics::RankRange range, std::int64_t bytes);
  [[nodiscard]] bool done() const { return search_.done(); }
  /// Adds all values of a box. From several threads.
  void add(BlockView<const float> values);
  void end_pass(const Merge& merge) { search_.end_pass(merge); }
  /// One for each percentage, once done.
  [[nodiscard]] std::vector<RankResult> results() const;

 private:
  std::vector<double> percentages_;
  numerics::LongRankCounts search_;
};

/// Exact percentiles of all voxels of some planes (ascending, at least one), by some passes over them that hold
/// about `bytes`. The values lie mostly within [0, typical_most].
[[nodiscard]] std::vector<RankResult> percentiles_of_planes(LevelStream& level,
                                                            const std::vector<std::int64_t>& planes,
                                                            const std::vector<double>& percentages,
                                                            float typical_most, std::int64_t bytes);

}  // namespace flatfield::methods
