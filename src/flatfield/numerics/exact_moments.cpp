#include "flatfield/numerics/exact_moments.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

constexpr double kUnits = 65536.0;
/// Adding this to a double below 2^32 leaves its nearest integer in the low bits.
constexpr double kRounder = 4503599627370496.0;
constexpr std::uint64_t kLow32 = 0xFFFFFFFFU;
/// Sums of so many halves of squares, below 2^32 each, fit into 64 bits.
constexpr std::size_t kPiece = 65536;

std::uint64_t units_of(float value) {
  return std::bit_cast<std::uint64_t>(static_cast<double>(value) * kUnits + kRounder) & kLow32;
}

}  // namespace

/// Adds `count` values, as multiples of the unit.
template <class UnitsOf>
void ExactMoments::add_units(std::size_t count, UnitsOf units_of) {
  for (std::size_t first = 0; first < count; first += kPiece) {
    const std::size_t last = std::min(count, first + kPiece);
    std::uint64_t sum = 0;
    std::uint64_t squares_low = 0;
    std::uint64_t squares_high = 0;
    for (std::size_t i = first; i < last; ++i) {
      const std::uint64_t units = units_of(i);
      const std::uint64_t square = units * units;
      sum += units;
      squares_low += square & kLow32;
      squares_high += square >> 32U;
    }
    sum_ += sum;
    squares_ += (Wide{squares_high} << 32U) + squares_low;
  }
}

void ExactMoments::add(std::span<const float> values) {
  count_ += static_cast<std::int64_t>(values.size());
  add_units(values.size(), [&](std::size_t i) { return units_of(values[i]); });
}

void ExactMoments::add_where(std::span<const float> values, std::span<const std::uint8_t> inside) {
  std::int64_t count = 0;
  for (const std::uint8_t in : inside) count += in;
  count_ += count;
  // What is not inside adds nothing to either sum.
  add_units(values.size(), [&](std::size_t i) { return units_of(values[i]) & (0 - std::uint64_t{inside[i]}); });
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

double ExactMoments::sum() const { return static_cast<double>(sum_) / kUnits; }

Moments ExactMoments::moments() const {
  if (count_ == 0) throw Error(ErrorCode::kInternal, "moments: there are no values");
  const auto count = static_cast<Wide>(count_);
  // Distances from the mean rounded down are exact; the rest of the mean is less than one unit.
  const Wide centre = sum_ / count;
  const double rest = static_cast<double>(sum_ % count) / static_cast<double>(count_);
  const Wide squares = squares_ + count * centre * centre - 2 * centre * sum_;
  const double variance = static_cast<double>(squares) / static_cast<double>(count_) - rest * rest;
  return {(static_cast<double>(centre) + rest) / kUnits, std::sqrt(std::max(variance, 0.0)) / kUnits};
}

}  // namespace flatfield::numerics
