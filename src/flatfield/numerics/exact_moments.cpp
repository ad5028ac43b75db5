#include "flatfield/numerics/exact_moments.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/moment_sums.h"

namespace flatfield::numerics {
namespace {

constexpr std::uint64_t kLow32 = 0xFFFFFFFFU;

}  // namespace

void ExactMoments::add_values(const float* values, const std::uint8_t* inside, std::size_t count) {
  for (std::size_t first = 0; first < count; first += kMostMomentValues) {
    const std::size_t piece = std::min<std::size_t>(count - first, kMostMomentValues);
    const MomentSums sums =
        moment_sums(values + first, inside == nullptr ? nullptr : inside + first, static_cast<std::int64_t>(piece));
    sum_ += sums.sum;
    squares_ += (Wide{sums.squares_high} << 32U) + sums.squares_low;
  }
}

void ExactMoments::add(std::span<const float> values) {
  count_ += static_cast<std::int64_t>(values.size());
  add_values(values.data(), nullptr, values.size());
}

void ExactMoments::add_where(std::span<const float> values, std::span<const std::uint8_t> inside) {
  std::int64_t count = 0;
  for (const std::uint8_t in : inside) count += in;
  count_ += count;
  add_values(values.data(), inside.data(), values.size());
}

void ExactMoments::add(const ExactMoments& other) {
  count_ += other.count_;
  sum_ += other.sum_;
  squares_ += other.squares_;
}

void ExactMoments::merge(std::span<ExactMoments> parts, const Merge& merge) {
  // Wide sums travel as 32 bits each, so that fewer than 2^32 processes cannot overflow one.
  constexpr std::size_t kWords = 9;
  std::vector<std::uint64_t> words;
  words.reserve(parts.size() * kWords);
  for (const ExactMoments& part : parts) {
    words.push_back(static_cast<std::uint64_t>(part.count_));
    for (const Wide wide : {part.sum_, part.squares_})
      for (int shift = 0; shift < 128; shift += 32) words.push_back(static_cast<std::uint64_t>(wide >> shift) & kLow32);
  }
  merge.sum(words);
  const std::uint64_t* next = words.data();
  for (ExactMoments& part : parts) {
    part.count_ = static_cast<std::int64_t>(*next++);
    for (Wide* wide : {&part.sum_, &part.squares_}) {
      *wide = 0;
      for (int shift = 0; shift < 128; shift += 32) *wide += Wide{*next++} << shift;
    }
  }
}

double ExactMoments::sum() const { return static_cast<double>(sum_) / kMomentUnits; }

Moments ExactMoments::moments() const {
  if (count_ == 0) throw Error(ErrorCode::kInternal, "moments: there are no values");
  const auto count = static_cast<Wide>(count_);
  // Distances from the mean rounded down are exact; the rest of the mean is less than one unit.
  const Wide centre = sum_ / count;
  const double rest = static_cast<double>(sum_ % count) / static_cast<double>(count_);
  const Wide squares = squares_ + count * centre * centre - 2 * centre * sum_;
  const double variance = static_cast<double>(squares) / static_cast<double>(count_) - rest * rest;
  return {(static_cast<double>(centre) + rest) / kMomentUnits, std::sqrt(std::max(variance, 0.0)) / kMomentUnits};
}

}  // namespace flatfield::numerics
