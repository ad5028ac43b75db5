#include "flatfield/numerics/rank_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "flatfield/core/error.h"
#include "support/process_threads.h"

namespace flatfield::numerics {
namespace {

template <class Weight>
struct Sample {
  std::uint32_t line;
  float value;
  Weight weight;
};

/// Runs a search over samples in random pieces; returns the number of passes.
template <class Search, class Weight>
int run(Search& search, const std::vector<Sample<Weight>>& samples, std::size_t lines,
        const std::vector<typename Search::Union>& unions, const Merge& merge) {
  int passes = 0;
  while (!search.done()) {
    if (search.counting()) {
      for (std::size_t line = 0; line < lines; ++line) {
        std::vector<Weight> bins(search.bins());
        for (const auto& sample : samples)
          if (sample.line == line) bins[search.bin_of(sample.value)] += sample.weight;
        search.add_counts(line, bins);
      }
    } else {
      std::vector<typename Search::Found> found;
      const auto offer = [&](std::size_t line, const Sample<Weight>& sample) {
        if (sample.value >= search.low(line) && sample.value <= search.high(line))
          found.push_back({static_cast<std::uint32_t>(line), sample.value, sample.weight});
      };
      for (const auto& sample : samples) {
        offer(sample.line, sample);
        for (std::size_t i = 0; i < unions.size(); ++i)
          if (sample.line >= unions[i].first && sample.line < unions[i].last) offer(lines + i, sample);
      }
      search.add_found(found);
    }
    search.end_pass(merge);
    ++passes;
  }
  return passes;
}

/// Calls examine(samples, merge) for all samples, and in several processes that have some of them each.
template <class Weight, class Examine>
void alone_and_in_processes(const std::vector<Sample<Weight>>& samples, std::mt19937& random, Examine examine) {
  examine(samples, Merge::alone());
  const int count = 2 + static_cast<int>(random() % 3);
  std::vector<std::vector<Sample<Weight>>> parts(static_cast<std::size_t>(count));
  for (const auto& sample : samples) parts[random() % parts.size()].push_back(sample);
  testing_support::ProcessThreads::run(count, [&](execution::ProcessGroup& processes) {
    examine(parts[static_cast<std::size_t>(processes.rank())], processes);
  });
}

float draw(int kind, std::mt19937& random) {
  switch (kind) {
    case 0: return std::uniform_real_distribution<float>(0, 1000)(random);
    case 1: return static_cast<float>(random() % 5) * 20;                       // ties
    case 2: return std::exponential_distribution<float>(0.001F)(random);        // beyond the bins
    case 3: return 77.7F;
    case 4: return random() % 2 == 0 ? 0.0F : std::nextafter(500.0F, random() % 2 == 0 ? 0.0F : 1e3F);
    default: return -std::uniform_real_distribution<float>(-5, 5)(random);      // below the bins, and -0
  }
}

TEST(RankSearch, finds_the_order_statistics_of_a_union_of_more_than_2_to_the_32_values) {
  using Search = RankCounts;
  constexpr std::uint32_t kMany = 3'000'000'000;
  const std::vector<Sample<std::uint32_t>> samples{{0, 20.0F, kMany}, {1, 20.0F, kMany}, {2, 21.0F, kMany}};
  std::mt19937 random;
  alone_and_in_processes(samples, random, [&](const std::vector<Sample<std::uint32_t>>& own, const Merge& merge) {
    const std::vector<Search::Union> unions{{0, 3}};
    Search search(3, unions, {}, [](std::size_t, std::uint64_t total) { return RankTargets{total / 2, total}; }, 0);
    run(search, own, 3, unions, merge);
    EXPECT_EQ(search.total(3), 9'000'000'000U);
    EXPECT_EQ(search.lower(3), 20.0F);
    EXPECT_EQ(search.upper(3), 21.0F);
  });
}

TEST(RankSearch, finds_the_order_statistics_of_sorted_values_in_any_memory) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  using Search = RankCounts;
  for (int round = 0; round < 120; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const std::size_t lines = 1 + random() % 6;
    std::vector<Sample<std::uint32_t>> samples(random() % 3000);
    for (auto& sample : samples)
      sample = {static_cast<std::uint32_t>(random() % lines), draw((round + static_cast<int>(random() % 2)) % 6, random), 1};
    const double q = std::vector<double>{0, 1, 50, 99.9, 100, 37}[random() % 6];
    const std::vector<Search::Union> unions{{0, lines}, {lines / 2, lines}};
    const std::int64_t bytes = std::vector<std::int64_t>{0, 300, 4000, 1 << 20}[random() % 4];
    const RankRange range{1000.0F, random() % 2 == 0 ? 0.0F : 300.0F};
    alone_and_in_processes(samples, random, [&](const std::vector<Sample<std::uint32_t>>& own, const Merge& merge) {
      Search search(lines, unions, range,
                    [&](std::size_t, std::uint64_t total) { return percentile_targets(total, q); }, bytes);
      const int passes = run(search, own, lines, unions, merge);
      EXPECT_LE(passes, 9);
      for (std::size_t line = 0; line < lines + unions.size(); ++line) {
        std::vector<float> values;
        for (const auto& sample : samples)
          if (line < lines ? sample.line == line
                           : sample.line >= unions[line - lines].first && sample.line < unions[line - lines].last)
            values.push_back(sample.value);
        ASSERT_EQ(search.total(line), values.size());
        if (values.empty()) continue;
        std::sort(values.begin(), values.end());
        const auto position = static_cast<std::size_t>(static_cast<double>(values.size() - 1) * (q / 100));
        ASSERT_EQ(search.lower(line), values[position]);
        ASSERT_EQ(search.upper(line), values[std::min(position + 1, values.size() - 1)]);
      }
    });
  }
}

TEST(RankSearch, finds_the_weighted_percentile_in_any_memory) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  using Search = RankWeights;
  for (int round = 0; round < 100; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const std::size_t lines = 1 + random() % 4;
    std::vector<Sample<std::uint64_t>> samples(1 + random() % 1500);
    for (auto& sample : samples)
      sample = {static_cast<std::uint32_t>(random() % lines), draw(round % 6, random),
                round % 3 == 0 ? 7 : std::uint64_t{random()} << (random() % 20)};
    const double q = std::vector<double>{0, 50, 100, 12.5}[random() % 4];
    const std::int64_t bytes = random() % 2 == 0 ? 0 : 100000;
    alone_and_in_processes(samples, random, [&](const std::vector<Sample<std::uint64_t>>& mine, const Merge& merge) {
      Search search(lines, {}, {1000.0F},
                    [&](std::size_t, std::uint64_t total) { return inverted_cdf_target(total, q); }, bytes);
      run(search, mine, lines, {}, merge);
      for (std::size_t line = 0; line < lines; ++line) {
        std::vector<Sample<std::uint64_t>> own;
        for (const auto& sample : samples)
          if (sample.line == line) own.push_back(sample);
        std::stable_sort(own.begin(), own.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
        std::uint64_t total = 0;
        for (const auto& sample : own) total += sample.weight;
        ASSERT_EQ(search.total(line), total);
        if (total == 0) continue;
        std::uint64_t sum = 0;
        for (const auto& sample : own) {
          sum += sample.weight;
          if (sum > 0 && static_cast<double>(static_cast<long double>(sum) / static_cast<long double>(total)) >= q / 100) {
            ASSERT_EQ(search.lower(line), sample.value);
            break;
          }
        }
      }
    });
  }
}

TEST(RankSearch, needs_one_pass_for_values_on_a_grid_whose_statistics_lie_within_the_bins) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  using Search = RankCounts;
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const float grid = std::vector<float>{1.0F, 0.5F, 4.0F}[random() % 3];
    const unsigned most = std::vector<unsigned>{200, 1500, 4000}[random() % 3];  // multiples; the bins hold 512
    const std::size_t lines = 1 + random() % 3;
    std::vector<Sample<std::uint32_t>> samples(lines + random() % 2000);
    for (std::size_t i = 0; i < samples.size(); ++i)
      samples[i] = {static_cast<std::uint32_t>(i % lines), static_cast<float>(random() % most) * grid, 1};
    const std::vector<Search::Union> unions{{0, lines}};
    Search search(lines, unions, {static_cast<float>(most) * grid, 0.0F, grid},
                  [&](std::size_t, std::uint64_t total) { return percentile_targets(total, 50); },
                  static_cast<std::int64_t>(lines * 512 * sizeof(std::uint32_t)));
    const int passes = run(search, samples, lines, unions, Merge::alone());
    if (most == 200) { EXPECT_EQ(passes, 1); }
    for (std::size_t line = 0; line < lines; ++line) {
      std::vector<float> values;
      for (const auto& sample : samples)
        if (sample.line == line) values.push_back(sample.value);
      std::sort(values.begin(), values.end());
      ASSERT_EQ(search.lower(line), values[(values.size() - 1) / 2]);
      ASSERT_EQ(search.upper(line), values[std::min((values.size() - 1) / 2 + 1, values.size() - 1)]);
    }
  }
}

TEST(RankSearch, needs_one_pass_for_values_on_a_grid_around_the_middle_of_a_range_that_does_not_begin_at_0) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const float grid = std::vector<float>{1.0F, 0.5F, 4.0F}[random() % 3];
    const unsigned middle = 300 + random() % 5000;
    // Medians near the middle, where the 512 bins are; some values far from it on either side.
    const unsigned spread = std::vector<unsigned>{100, 250, 2000}[random() % 3];
    std::vector<Sample<std::uint32_t>> samples(200 + random() % 2000);
    std::vector<float> values;
    for (auto& sample : samples) {
      const unsigned kind = random() % 8;
      const unsigned near = middle - std::min(spread, middle) + random() % (2 * spread);
      const unsigned multiple = kind == 0 ? random() % 50 : kind == 1 ? middle * 3 : near;
      sample = {0, static_cast<float>(multiple) * grid, 1};
      values.push_back(sample.value);
    }
    const auto m = static_cast<float>(middle) * grid;
    RankCounts search(1, {}, {1.75F * m, 0.25F * m, grid},
                      [&](std::size_t, std::uint64_t total) { return percentile_targets(total, 50); },
                      static_cast<std::int64_t>(512 * sizeof(std::uint32_t)));
    const int passes = run(search, samples, 1, {}, Merge::alone());
    if (spread == 100 && 1.5F * static_cast<float>(middle) < 4.0F * 512.0F) { EXPECT_EQ(passes, 1); }
    std::sort(values.begin(), values.end());
    ASSERT_EQ(search.lower(0), values[(values.size() - 1) / 2]);
    ASSERT_EQ(search.upper(0), values[std::min((values.size() - 1) / 2 + 1, values.size() - 1)]);
  }
}

TEST(RankSearch, needs_two_passes_where_the_values_of_a_bin_fit) {
  std::mt19937 random(3);
  std::vector<Sample<std::uint32_t>> samples(20000);
  for (auto& sample : samples)
    sample = {static_cast<std::uint32_t>(random() % 10), std::uniform_real_distribution<float>(0, 1000)(random), 1};
  RankCounts search(
      10, {}, {1000.0F}, [](std::size_t, std::uint64_t total) { return percentile_targets(total, 50); }, 100000);
  EXPECT_EQ(run(search, samples, 10, {}, Merge::alone()), 2);
}

TEST(RankSearch, refuses_a_pass_over_other_values) {
  RankCounts search(
      1, {}, {10.0F}, [](std::size_t, std::uint64_t total) { return percentile_targets(total, 50); }, 1000);
  std::vector<std::uint32_t> bins(search.bins());
  bins[search.bin_of(5.0F)] = 3;
  search.add_counts(0, bins);
  search.end_pass();
  EXPECT_THROW(search.end_pass(), Error);
}

}  // namespace
}  // namespace flatfield::numerics
