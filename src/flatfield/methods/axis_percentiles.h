#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/methods/stream_percentiles.h"
#include "flatfield/numerics/rank_search.h"

namespace flatfield::methods {

/// Weights 0..1 as multiples of a unit that is so small that the sum over a plane of `plane_voxels` just
/// fits: sums of them are exact, whatever their order.
class IntegerWeight {
 public:
  explicit IntegerWeight(std::int64_t plane_voxels);
  [[nodiscard]] std::uint64_t operator()(float weight) const {
    return static_cast<std::uint64_t>(static_cast<double>(weight) * units_ + 0.5);
  }

 private:
  double units_;
};

struct AxisPercentileOptions {
  Extent3 shape;
  double percentage = 50.0;       ///< of the planes
  std::vector<double> overall;    ///< percentages of all masked voxels
  numerics::RankRange range = {};  ///< where the percentiles are expected
  int workers = 1;
  std::int64_t bytes = 0;  ///< to be held, about; at least least_bytes()
};

/// Percentiles of the masked voxels of every plane along each axis of a volume that comes box by box, and of
/// all masked voxels. Search is RankCounts, or RankWeights for voxels that count by an IntegerWeight.
///
///   while (!percentiles.done()) { all boxes: add(...);  percentiles.end_pass(); }
template <class Search>
class AxisPercentiles {
 public:
  explicit AxisPercentiles(const AxisPercentileOptions& options);
  [[nodiscard]] static std::int64_t least_bytes(const Extent3& shape, int workers);

  [[nodiscard]] bool done() const { return search_.done(); }
  /// Adds the values, not negative, of a box where `inside` is 1 and not 0. From several threads, each with its own `worker`.
  void add(const Box3& box, BlockView<const float> values, BlockView<const std::uint8_t> inside, int worker,
           const std::optional<BlockView<const float>>& weights = std::nullopt);
  /// To be called after each pass over all boxes that this process visits, from one thread.
  void end_pass(const Merge& merge = Merge::alone()) { search_.end_pass(merge); }

  /// What was found; no order statistics where `total` is 0.
  [[nodiscard]] RankResult plane(int axis, std::int64_t index) const;
  [[nodiscard]] RankResult overall(std::size_t number) const;

 private:
  using Weight = typename Search::WeightType;
  /// What is counted of a box: 16 bits hold the voxels of a plane of it, and tables of them stay in the cache.
  using Tally = std::conditional_t<Search::kCountsValues, std::uint16_t, Weight>;
  /// What one worker counts in while it adds a box.
  struct Scratch {
    std::vector<std::uint32_t> places;
    std::array<std::vector<Tally>, 3> tables;  ///< of each plane of the box along an axis, one count per bin
    std::vector<typename Search::Found> found;
  };
  [[nodiscard]] std::size_t line(int axis, std::int64_t index) const;
  [[nodiscard]] Weight weight_of(const float* row, std::int64_t x) const;
  void count(const Box3& box, BlockView<const float> values, BlockView<const std::uint8_t> inside,
             const std::optional<BlockView<const float>>& weights, Scratch& scratch);
  void count_halves(const Box3& box, BlockView<const float> values, BlockView<const std::uint8_t> inside,
                    const std::optional<BlockView<const float>>& weights, Scratch& scratch);
  void find(const Box3& box, BlockView<const float> values, BlockView<const std::uint8_t> inside,
            const std::optional<BlockView<const float>>& weights, Scratch& scratch);

  AxisPercentileOptions options_;
  IntegerWeight integer_weight_;
  Search search_;
  std::vector<Scratch> scratch_;
};

extern template class AxisPercentiles<numerics::RankCounts>;
extern template class AxisPercentiles<numerics::RankWeights>;

}  // namespace flatfield::methods
