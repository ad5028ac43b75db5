#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <span>
#include <vector>

#include "flatfield/core/merge.h"

namespace flatfield::numerics {

/// Which order statistics are wanted of a set of values: the smallest value whose cumulative weight reaches
/// `lower`, and that for `upper` >= `lower`. Both at least 1 and at most the total weight; if every value
/// counts 1 they are ranks from 1 on.
struct RankTargets {
  std::uint64_t lower = 1;
  std::uint64_t upper = 1;
};
/// The neighbours that numpy.percentile interpolates between, of `total` >= 1 values; percentage 50 are the
/// middle values of numpy.median.
[[nodiscard]] RankTargets percentile_targets(std::uint64_t total, double percentage);
/// That of inverted_cdf: the first cumulative weight > 0 that is at least so large a share of the total.
[[nodiscard]] RankTargets inverted_cdf_target(std::uint64_t total, double percentage);

/// What is known of the values: the statistics lie mostly within [least, most], and where `grid` > 0 (a power of 2)
/// all values are multiples of it and not negative.
struct RankRange {
  float most = 65536.0F;
  float least = 0.0F;
  float grid = 0.0F;
};

/// Exact order statistics of many sets of float values ("lines") at once, in bounded memory, of values that
/// are given in any order and several times over. The first pass counts into bins; each later pass looks at
/// the values of the one bin that matters, until every line is known: two or three passes.
///
///   while (!search.done()) { for all values: counting() ? add_counts : add_found;  search.end_pass(); }
///
/// `Weight` holds the total of a line with counts of its own; kEachCountsOne says that all weights are 1, so that totals are numbers of values.
/// Results do not depend on the order, the memory or the number of passes.
template <class Weight, bool kEachCountsOne>
class RankSearch {
 public:
  using WeightType = Weight;
  static constexpr bool kCountsValues = kEachCountsOne;

  /// A value of a line that lies within its bounds.
  struct Found {
    std::uint32_t line;
    float value;
    Weight weight;
  };
  /// A line that has the values of lines [first, last), which are lines with counts of their own.
  struct Union {
    std::size_t first;
    std::size_t last;
  };
  using TargetsOf = std::function<RankTargets(std::size_t line, std::uint64_t total)>;

  /// `lines` lines with counts of their own, and behind them one for each of `unions`. Bins of the first pass
  /// are equal parts of the range; values outside count to the first and last one. Where a bin of the grid holds one value,
  /// the first pass is enough for the lines whose statistics lie within the bins. May hold about `bytes`, but
  /// at least least_bytes(lines).
  RankSearch(std::size_t lines, std::vector<Union> unions, RankRange range, TargetsOf targets_of,
             std::int64_t bytes);
  [[nodiscard]] static std::int64_t least_bytes(std::size_t lines);

  [[nodiscard]] bool done() const { return done_; }
  /// Whether this is the first pass.
  [[nodiscard]] bool counting() const { return counting_; }

  // First pass.
  [[nodiscard]] std::size_t bins() const { return bins_; }
  [[nodiscard]] std::uint32_t bin_of(float value) const {
    // Without branches, and by way of 32 bits with a sign, so that a loop over values becomes vectors.
    const float scaled = (value - least_) * scale_;
    const float above = scaled > 0.0F ? scaled : 0.0F;
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(above < last_bin_ ? above : last_bin_));
  }
  /// Adds weights per bin to a line with counts of its own. From several threads.
  void add_counts(std::size_t line, std::span<const Weight> weights) { add_tally(line, weights); }
  /// The same of what was counted in less memory.
  void add_counts(std::size_t line, std::span<const std::uint16_t> counts) { add_tally(line, counts); }

  // Later passes. Bounds of a line that is known hold no value.
  [[nodiscard]] float low(std::size_t line) const { return lows_[line]; }
  [[nodiscard]] float high(std::size_t line) const { return highs_[line]; }
  [[nodiscard]] const float* lows() const { return lows_.data(); }
  [[nodiscard]] const float* highs() const { return highs_.data(); }
  /// Adds all values of the lines that lie within their bounds (inclusive). From several threads.
  void add_found(std::span<const Found> found);

  /// To be called after each pass over all values, from one thread. `merge` is that of the processes which share the
  /// values, all of which search with the same `bytes`.
  void end_pass(const Merge& merge = Merge::alone());

  // Results, once done. A line without weight has no order statistics.
  [[nodiscard]] std::uint64_t total(std::size_t line) const { return lines_[line].total; }
  [[nodiscard]] float lower(std::size_t line) const { return lines_[line].lower; }
  [[nodiscard]] float upper(std::size_t line) const { return lines_[line].upper; }

 private:
  struct Line {
    std::uint64_t total = 0;
    RankTargets targets;         ///< less the weight of the values below the bounds
    std::uint64_t within = 0;    ///< weight of the values within the bounds
    std::size_t memory = 0;      ///< first of its values or parts
    std::size_t size = 0;        ///< how many
    bool collects = false;
    float lower = std::numeric_limits<float>::quiet_NaN();
    float upper = std::numeric_limits<float>::quiet_NaN();
  };
  /// One part of a line's bounds; of a union it has the values of many lines.
  struct Part {
    std::uint64_t weight = 0;
    float least = std::numeric_limits<float>::infinity();
    float most = -std::numeric_limits<float>::infinity();
  };
  static constexpr std::size_t kStripes = 64;
  static constexpr std::size_t kMostBins = 2048;
  static constexpr std::size_t kFewestParts = 16;
  static constexpr std::size_t kMostParts = 1024;

  template <class Tally>
  void add_tally(std::size_t line, std::span<const Tally> tally) {
    Weight* const counts = counts_.data() + line * bins_;
    const Tally* const more = tally.data();
    // One lock for all bins: sums become vectors, which atomic numbers do not.
    const std::scoped_lock lock(stripes_[line % kStripes]);
    for (std::size_t bin = 0; bin < bins_; ++bin) counts[bin] += more[bin];
  }
  [[nodiscard]] float bin_edge(std::size_t bin) const;
  [[nodiscard]] std::size_t part_of(std::size_t line, float value) const;
  template <class WeightOf>
  void end_counting(std::size_t line, WeightOf weight_of);
  void merge_found(const Merge& merge);
  void end_collecting(std::size_t line);
  void end_parting(std::size_t line);
  void know(std::size_t line, float lower, float upper);
  void begin_pass();

  std::size_t own_lines_;
  std::vector<Union> unions_;
  TargetsOf targets_of_;
  std::int64_t bytes_;
  bool done_ = false;
  bool counting_ = true;
  std::size_t bins_ = 0;
  float least_ = 0;
  float scale_ = 0;
  float last_bin_ = 0;
  float grid_ = 0;  ///< width of a bin that holds one value; 0 = bins hold many
  std::vector<Line> lines_;
  std::vector<float> lows_;
  std::vector<float> highs_;
  std::vector<Weight> counts_;
  std::array<std::mutex, kStripes> stripes_;  ///< of the counts of every 64th line
  std::mutex found_;
  std::vector<float> values_;
  std::vector<Part> parts_;
  std::vector<int> shifts_;  ///< of the distance of a value's bits from those of the lower bound
};

/// Of values that count 1 each: fewer than 2^32 of a line with counts of its own, or any number; and of weights.
using RankCounts = RankSearch<std::uint32_t, true>;
using LongRankCounts = RankSearch<std::uint64_t, true>;
using RankWeights = RankSearch<std::uint64_t, false>;

extern template class RankSearch<std::uint32_t, true>;
extern template class RankSearch<std::uint64_t, true>;
extern template class RankSearch<std::uint64_t, false>;

}  // namespace flatfield::numerics
