#include "flatfield/numerics/rank_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "flatfield/core/error.h"
#include "flatfield/numerics/float_order.h"

namespace flatfield::numerics {
namespace {

/// Parts that are merged together.
constexpr std::size_t kPartsAtOnce = 65536;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

RankTargets percentile_targets(std::uint64_t total, double percentage) {
  const std::uint64_t last = total - 1;
  const double position = static_cast<double>(last) * (percentage / 100);
  const std::uint64_t rank = std::min(static_cast<std::uint64_t>(position), last);
  return {rank + 1, std::min(rank + 2, total)};
}

RankTargets inverted_cdf_target(std::uint64_t total, double percentage) {
  const double share = percentage / 100;
  const auto reached = [&](std::uint64_t weight) {
    return static_cast<double>(static_cast<long double>(weight) / static_cast<long double>(total)) >= share;
  };
  std::uint64_t below = 0;
  std::uint64_t target = total;
  while (target - below > 1) {
    const std::uint64_t middle = below + (target - below) / 2;
    (reached(middle) ? target : below) = middle;
  }
  return {target, target};
}

template <class Weight, bool kEachCountsOne>
std::int64_t RankSearch<Weight, kEachCountsOne>::least_bytes(std::size_t lines) {
  return static_cast<std::int64_t>(lines * kFewestParts * sizeof(Part));
}

template <class Weight, bool kEachCountsOne>
RankSearch<Weight, kEachCountsOne>::RankSearch(std::size_t lines, std::vector<Union> unions, RankRange range,
                               TargetsOf targets_of, std::int64_t bytes)
    : own_lines_(lines),
      unions_(std::move(unions)),
      targets_of_(std::move(targets_of)),
      bytes_(bytes),
      lines_(lines + unions_.size()),
      lows_(lines_.size(), kInfinity),
      highs_(lines_.size(), -kInfinity),
      shifts_(lines_.size()) {
  const auto fitting = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 0)) /
                       (std::max<std::size_t>(lines, 1) * sizeof(Weight));
  bins_ = std::clamp(std::bit_floor(std::max<std::size_t>(fitting, 1)), kFewestParts, kMostBins);
  least_ = range.least;
  scale_ = range.most > least_ ? static_cast<float>(bins_) / (range.most - least_) : 1.0F;
  // Bins of single values need not reach over all of the range: a quarter of it is worth it, from 0 on or in the middle.
  if (range.grid > 0.0F && 1.0F / range.grid <= 4.0F * scale_) {
    grid_ = range.grid;
    scale_ = 1.0F / range.grid;
    if (least_ > 0.0F) {
      const float reach = static_cast<float>(bins_) * grid_;
      const float centred = least_ + (range.most - least_ - reach) / 2.0F;
      least_ = std::max(std::floor(std::max(least_, centred) * scale_) * grid_, 0.0F);
    }
    const auto values = static_cast<std::size_t>(std::max(range.most - least_, 1.0F) * scale_) + 2;
    bins_ = std::clamp(std::bit_ceil(values), kFewestParts, bins_);
  }
  if (!std::isfinite(scale_)) scale_ = 1.0F;
  last_bin_ = static_cast<float>(bins_ - 1);
  counts_.resize(lines * bins_);
  done_ = lines_.empty();
}

/// The smallest value of a bin.
template <class Weight, bool kEachCountsOne>
float RankSearch<Weight, kEachCountsOne>::bin_edge(std::size_t bin) const {
  std::uint32_t below = ordered_bits_of_value(-std::numeric_limits<float>::max());
  if (bin == 0) return from_ordered_bits(below);
  std::uint32_t edge = ordered_bits_of_value(std::numeric_limits<float>::max());
  while (edge - below > 1) {
    const std::uint32_t middle = below + (edge - below) / 2;
    (bin_of(from_ordered_bits(middle)) >= bin ? edge : below) = middle;
  }
  return from_ordered_bits(edge);
}

template <class Weight, bool kEachCountsOne>
void RankSearch<Weight, kEachCountsOne>::know(std::size_t line, float lower, float upper) {
  lines_[line].lower = lower;
  lines_[line].upper = upper;
  lines_[line].within = 0;
  lows_[line] = kInfinity;
  highs_[line] = -kInfinity;
}

template <class Weight, bool kEachCountsOne>
template <class WeightOf>
void RankSearch<Weight, kEachCountsOne>::end_counting(std::size_t line, WeightOf weight_of) {
  Line& state = lines_[line];
  state.total = 0;
  for (std::size_t bin = 0; bin < bins_; ++bin) state.total += weight_of(bin);
  if (state.total == 0) return;
  const RankTargets wanted = targets_of_(line, state.total);
  std::uint64_t before = 0;
  std::size_t bin = 0;
  while (before + weight_of(bin) < wanted.lower) before += weight_of(bin++);
  const std::size_t first = bin;
  std::uint64_t reached = before + weight_of(bin);
  while (reached < wanted.upper) reached += weight_of(++bin);
  // The last bin holds all values above, and the first one those below, if there may be any.
  if (grid_ > 0.0F && bin + 1 < bins_ && (first > 0 || least_ == 0.0F))
    return know(line, least_ + static_cast<float>(first) * grid_, least_ + static_cast<float>(bin) * grid_);
  state.targets = {wanted.lower - before, wanted.upper - before};
  state.within = reached - before;
  lows_[line] = bin_edge(first);
  highs_[line] = bin + 1 == bins_ ? std::numeric_limits<float>::max()
                                  : from_ordered_bits(ordered_bits_of_value(bin_edge(bin + 1)) - 1);
}

template <class Weight, bool kEachCountsOne>
std::size_t RankSearch<Weight, kEachCountsOne>::part_of(std::size_t line, float value) const {
  return (ordered_bits_of_value(value) - ordered_bits_of_value(lows_[line])) >> shifts_[line];
}

template <class Weight, bool kEachCountsOne>
void RankSearch<Weight, kEachCountsOne>::add_found(std::span<const Found> found) {
  const std::lock_guard lock(found_);
  for (const Found& item : found) {
    Line& line = lines_[item.line];
    if (line.collects) {
      if (line.size < line.within) values_[line.memory + line.size] = item.value;
      ++line.size;
      continue;
    }
    Part& part = parts_[line.memory + part_of(item.line, item.value)];
    part.weight += item.weight;
    part.least = std::min(part.least, item.value);
    part.most = std::max(part.most, item.value);
  }
}

/// Makes what this process has found that of all: parts are added up, collected values put behind one another.
template <class Weight, bool kEachCountsOne>
void RankSearch<Weight, kEachCountsOne>::merge_found(const Merge& merge) {
  if (!merge.is_shared()) return;
  for (std::span<Part> left = parts_; !left.empty();) {
    const std::span<Part> parts = left.first(std::min(left.size(), kPartsAtOnce));
    left = left.subspan(parts.size());
    std::vector<std::uint64_t> weights;
    std::vector<float> least;
    std::vector<float> most;
    for (const Part& part : parts) {
      weights.push_back(part.weight);
      least.push_back(part.least);
      most.push_back(part.most);
    }
    merge.sum(weights);
    merge.least(least);
    merge.most(most);
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = {weights[i], least[i], most[i]};
  }
  std::vector<std::uint64_t> sizes(lines_.size());
  for (std::size_t i = 0; i < lines_.size(); ++i)
    if (lines_[i].collects && lines_[i].within > 0) sizes[i] = lines_[i].size;
  const std::vector<std::uint64_t> before = merge.before(sizes);
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    if (sizes[i] == 0 || before[i] == 0) continue;
    const std::span<float> values = std::span(values_).subspan(lines_[i].memory, lines_[i].within);
    // More values than there should be are an error, which end_collecting finds.
    const std::size_t own = std::min<std::size_t>(sizes[i], values.size());
    const std::size_t first = std::min<std::size_t>(before[i], values.size() - own);
    std::memmove(values.data() + first, values.data(), own * sizeof(float));
    std::fill_n(values.begin(), std::min(first, own), 0.0F);
  }
  merge.unite(std::as_writable_bytes(std::span(values_)));
  merge.sum(sizes);
  for (std::size_t i = 0; i < lines_.size(); ++i)
    if (lines_[i].collects && lines_[i].within > 0) lines_[i].size = sizes[i];
}

template <class Weight, bool kEachCountsOne>
void RankSearch<Weight, kEachCountsOne>::end_collecting(std::size_t line) {
  Line& state = lines_[line];
  if (state.size != state.within)
    throw Error(ErrorCode::kInternal, "RankSearch: a later pass was given other values than the first");
  const std::span<float> values = std::span(values_).subspan(state.memory, state.size);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(state.targets.lower - 1);
  std::nth_element(values.begin(), at, values.end());
  const float lower = *at;
  const float upper =
      state.targets.upper == state.targets.lower ? lower : *std::min_element(at + 1, values.end());
  know(line, lower, upper);
}

template <class Weight, bool kEachCountsOne>
void RankSearch<Weight, kEachCountsOne>::end_parting(std::size_t line) {
  Line& state = lines_[line];
  const std::span<const Part> parts = std::span(parts_).subspan(state.memory, state.size);
  struct Place {
    std::size_t part;
    std::uint64_t before;
  };
  const auto place_of = [&](std::uint64_t target) {
    Place place{0, 0};
    while (place.part < parts.size() && place.before + parts[place.part].weight < target)
      place.before += parts[place.part++].weight;
    if (place.part == parts.size())
      throw Error(ErrorCode::kInternal, "RankSearch: a later pass was given other values than the first");
    return place;
  };
  const auto known = [&](const Place& place, std::uint64_t target, float& value) {
    const Part& part = parts[place.part];
    const bool first = kEachCountsOne && target == place.before + 1;
    const bool last = kEachCountsOne && target == place.before + part.weight;
    value = first ? part.least : part.most;
    return first || last || part.least == part.most;
  };
  const Place lower = place_of(state.targets.lower);
  const Place upper = place_of(state.targets.upper);
  float lower_value = 0;
  float upper_value = 0;
  const bool knows_lower = known(lower, state.targets.lower, lower_value);
  if (known(upper, state.targets.upper, upper_value) && knows_lower)
    return know(line, lower_value, upper_value);
  lows_[line] = parts[lower.part].least;
  highs_[line] = parts[upper.part].most;
  state.within = upper.before + parts[upper.part].weight - lower.before;
  state.targets = {state.targets.lower - lower.before, state.targets.upper - lower.before};
}

template <class Weight, bool kEachCountsOne>
void RankSearch<Weight, kEachCountsOne>::end_pass(const Merge& merge) {
  if (counting_) {
    merge.sum(counts_);
    for (std::size_t line = 0; line < own_lines_; ++line)
      end_counting(line, [&, line](std::size_t bin) { return std::uint64_t{counts_[line * bins_ + bin]}; });
    for (std::size_t i = 0; i < unions_.size(); ++i) {
      std::vector<std::uint64_t> sums(bins_);
      for (std::size_t line = unions_[i].first; line < unions_[i].last; ++line)
        for (std::size_t bin = 0; bin < bins_; ++bin) sums[bin] += counts_[line * bins_ + bin];
      end_counting(own_lines_ + i, [&](std::size_t bin) { return sums[bin]; });
    }
    counts_ = {};
    counting_ = false;
  } else {
    merge_found(merge);
    for (std::size_t line = 0; line < lines_.size(); ++line)
      if (lines_[line].within > 0) lines_[line].collects ? end_collecting(line) : end_parting(line);
  }
  begin_pass();
}

template <class Weight, bool kEachCountsOne>
void RankSearch<Weight, kEachCountsOne>::begin_pass() {
  values_ = {};
  parts_ = {};
  std::uint64_t wanted = 0;
  std::uint64_t unknown = 0;
  for (const Line& line : lines_) {
    wanted += line.within;
    if (line.within > 0) ++unknown;
  }
  done_ = unknown == 0;
  if (done_) return;
  // What a line may hold: all its values where they fit, which ends its search; else counts of the parts of
  // its bounds.
  const auto bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(bytes_, 0));
  const std::uint64_t share = bytes / unknown;
  const bool all_fit = wanted <= bytes / sizeof(float);
  const std::size_t parts =
      std::clamp<std::size_t>(std::bit_floor(std::max<std::uint64_t>(share / sizeof(Part), 1)), kFewestParts,
                              kMostParts);
  std::size_t values = 0;
  std::size_t all_parts = 0;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    Line& line = lines_[i];
    if (line.within == 0) continue;
    line.collects = kEachCountsOne && (all_fit || line.within <= share / sizeof(float));
    if (line.collects) {
      line.memory = values;
      line.size = 0;
      values += line.within;
      continue;
    }
    const std::uint32_t distance = ordered_bits_of_value(highs_[i]) - ordered_bits_of_value(lows_[i]);
    shifts_[i] = std::max(0, static_cast<int>(std::bit_width(distance)) -
                              static_cast<int>(std::bit_width(parts - 1)));
    line.memory = all_parts;
    line.size = (distance >> shifts_[i]) + 1;
    all_parts += line.size;
  }
  values_.resize(values);
  parts_.resize(all_parts);
}

template class RankSearch<std::uint32_t, true>;
template class RankSearch<std::uint64_t, true>;
template class RankSearch<std::uint64_t, false>;

}  // namespace flatfield::numerics
