#include "flatfield/methods/stream_percentiles.h"

#include <algorithm>
#include <span>

#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

using Search = numerics::LongRankCounts;

template <class Visit>
void for_each_row(BlockView<const float> values, Visit visit) {
  for (std::int64_t z = 0; z < values.shape.z; ++z)
    for (std::int64_t y = 0; y < values.shape.y; ++y)
      visit(std::span<const float>(values.row(z, y), static_cast<std::size_t>(values.shape.x)));
}

}  // namespace

double RankResult::linear() const {
  return numerics::interpolated_percentile(lower, upper, total, percentage);
}

float RankResult::median() const { return numerics::middle_of(lower, total % 2 == 1 ? lower : upper); }

// One line counts for all percentages; it looks for the first of them itself.
StreamPercentiles::StreamPercentiles(const std::vector<double>& percentages, numerics::RankRange range, std::int64_t bytes)
    : percentages_(percentages),
      search_(1, std::vector<Search::Union>(percentages.size() - 1, {0, 1}), range,
              [percentages](std::size_t line, std::uint64_t total) {
                return numerics::percentile_targets(total, percentages[line]);
              },
              bytes) {}

void StreamPercentiles::add(BlockView<const float> values) {
  if (search_.counting()) {
    std::vector<std::uint64_t> bins(search_.bins());
    for_each_row(values, [&](std::span<const float> row) {
      for (const float v : row) ++bins[search_.bin_of(v)];
    });
    return search_.add_counts(0, bins);
  }
  std::vector<Search::Found> found;
  constexpr std::size_t kPiece = 64;
  constexpr std::size_t kFoundAtOnce = 16384;
  for_each_row(values, [&](std::span<const float> row) {
    for (std::size_t line = 0; line < percentages_.size(); ++line) {
      const float low = search_.low(line);
      const float high = search_.high(line);
      for (std::size_t first = 0; first < row.size(); first += kPiece) {
        const std::span<const float> piece = row.subspan(first, std::min(kPiece, row.size() - first));
        // Few values lie within the bounds: most pieces are passed over.
        std::int32_t within = 0;
        for (const float v : piece) within += v >= low && v <= high ? 1 : 0;
        if (within == 0) continue;
        for (const float v : piece)
          if (v >= low && v <= high) found.push_back({static_cast<std::uint32_t>(line), v, 1});
      }
    }
    // Half of a box may have one value.
    if (found.size() < kFoundAtOnce) return;
    search_.add_found(found);
    found.clear();
  });
  search_.add_found(found);
}

std::vector<RankResult> StreamPercentiles::results() const {
  std::vector<RankResult> results;
  for (std::size_t line = 0; line < percentages_.size(); ++line)
    results.push_back({search_.total(line), search_.lower(line), search_.upper(line), percentages_[line]});
  return results;
}

std::vector<RankResult> percentiles_of_planes(LevelStream& level, const std::vector<std::int64_t>& planes,
                                              const std::vector<double>& percentages, float typical_most,
                                              std::int64_t bytes) {
  StreamPercentiles percentiles(percentages, {typical_most}, bytes);
  while (!percentiles.done()) {
    level.visit({{}, 0, plane_ranges(planes)},
                [&](const LevelBlock& block) { percentiles.add(block.values.sub(block.inner())); });
    percentiles.end_pass(level.merge());
  }
  return percentiles.results();
}

}  // namespace flatfield::methods
