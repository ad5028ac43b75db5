#include "flatfield/methods/stream_percentiles.h"

#include "flatfield/numerics/percentile.h"
#include "flatfield/numerics/rank_search.h"

namespace flatfield::methods {

double RankResult::linear() const {
  return numerics::interpolated_percentile(lower, upper, total, percentage);
}

float RankResult::median() const { return numerics::middle_of(lower, total % 2 == 1 ? lower : upper); }

std::vector<RankResult> percentiles_of_planes(LevelStream& level, const std::vector<std::int64_t>& planes,
                                              const std::vector<double>& percentages, float typical_most,
                                              std::int64_t bytes) {
  using Search = numerics::LongRankCounts;
  // One line counts for all percentages; it looks for the first of them itself.
  const std::size_t count = percentages.size();
  Search search(1, std::vector<Search::Union>(count - 1, {0, 1}), typical_most,
                [&](std::size_t line, std::uint64_t total) {
                  return numerics::percentile_targets(total, percentages[line]);
                },
                bytes);
  const auto for_each_row = [](const LevelBlock& block, auto visit) {
    const BlockView<float> inner = block.values.sub(block.inner());
    for (std::int64_t z = 0; z < inner.shape.z; ++z)
      for (std::int64_t y = 0; y < inner.shape.y; ++y)
        visit(std::span<const float>(inner.row(z, y), static_cast<std::size_t>(inner.shape.x)));
  };
  while (!search.done()) {
    level.visit({{}, 0, plane_ranges(planes)}, [&](const LevelBlock& block) {
      if (search.counting()) {
        std::vector<std::uint64_t> bins(search.bins());
        for_each_row(block, [&](std::span<const float> row) {
          for (const float v : row) ++bins[search.bin_of(v)];
        });
        return search.add_counts(0, bins);
      }
      std::vector<Search::Found> found;
      for_each_row(block, [&](std::span<const float> row) {
        for (std::size_t line = 0; line < count; ++line)
          for (const float v : row)
            if (v >= search.low(line) && v <= search.high(line))
              found.push_back({static_cast<std::uint32_t>(line), v, 1});
      });
      search.add_found(found);
    });
    search.end_pass(level.merge());
  }
  std::vector<RankResult> results;
  for (std::size_t line = 0; line < count; ++line)
    results.push_back({search.total(line), search.lower(line), search.upper(line), percentages[line]});
  return results;
}

}  // namespace flatfield::methods
