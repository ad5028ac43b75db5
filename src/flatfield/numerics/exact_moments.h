#pragma once

#include <cstdint>
#include <span>

#include "flatfield/core/merge.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::numerics {

/// Mean and deviation of values that come in any order and any pieces: the sums are integers, so they do
/// not depend on either. Values from 0 on, rounded to multiples of 2^-16, what is above 65535.99 as that; at most 2^48 of
/// them.
class ExactMoments {
 public:
  void add(std::span<const float> values);
  void add(float value) { add(std::span<const float>(&value, 1)); }
  /// Adds the values where `inside`, of the same size, is 1 and not 0.
  void add_where(std::span<const float> values, std::span<const std::uint8_t> inside);
  void add(const ExactMoments& other);
  /// Makes each of them that of all processes which share the values.
  static void merge(std::span<ExactMoments> parts, const Merge& merge);

  [[nodiscard]] std::int64_t count() const { return count_; }
  /// Of all that was added. Throws Error(kInternal) if there is nothing.
  [[nodiscard]] Moments moments() const;
  /// Sum of the values.
  [[nodiscard]] double sum() const;

 private:
  /// Those of the values where `inside` is 1, or all where it is null.
  void add_values(const float* values, const std::uint8_t* inside, std::size_t count);

  __extension__ using Wide = unsigned __int128;
  std::int64_t count_ = 0;
  Wide sum_ = 0;      ///< of the multiples
  Wide squares_ = 0;  ///< of their squares
};

}  // namespace flatfield::numerics
