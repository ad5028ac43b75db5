// Compiled once per kind of CPU: foreach_target.h includes this file again for each. Functions of the standard library
// must not be used between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE: the linker might keep the copy that was
// compiled for the newest CPU, for all.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "flatfield/numerics/moment_sums.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include "flatfield/numerics/moment_sums.h"

HWY_BEFORE_NAMESPACE();
namespace flatfield::numerics {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr float kMost = 65535.99609375F;  // the float before 2^16
/// Adding this to a double below 2^32 leaves its nearest integer in the low bits.
constexpr double kRounder = 4503599627370496.0;

#if HWY_TARGET != HWY_SCALAR
/// Adds as many values as fill vectors; returns how many.
template <bool kWhere, class D>
HWY_INLINE std::int64_t add_vectors(D d, const float* values, const std::uint8_t* inside, std::int64_t count,
                                    MomentSums& sums) {
  const hn::Repartition<std::uint64_t, D> du;
  const hn::Repartition<std::uint32_t, D> du32;
  const hn::Rebind<float, D> df;
  const hn::Rebind<std::uint32_t, D> d32;
  const hn::Rebind<std::uint8_t, D> d8;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto low = hn::Set(du, 0xFFFFFFFFULL);
  auto sum = hn::Zero(du);
  auto squares_low = hn::Zero(du);
  auto squares_high = hn::Zero(du);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    auto value = hn::Min(hn::LoadU(df, values + i), hn::Set(df, kMost));
    if constexpr (kWhere) {
      const auto in = hn::PromoteTo(d32, hn::LoadU(d8, inside + i));
      value = hn::And(value, hn::BitCast(df, hn::Sub(hn::Zero(d32), in)));
    }
    const auto scaled = hn::Add(hn::Mul(hn::PromoteTo(d, value), hn::Set(d, kMomentUnits)), hn::Set(d, kRounder));
    const auto units = hn::And(hn::BitCast(du, scaled), low);
    const auto square = hn::MulEven(hn::BitCast(du32, units), hn::BitCast(du32, units));
    sum = hn::Add(sum, units);
    squares_low = hn::Add(squares_low, hn::And(square, low));
    squares_high = hn::Add(squares_high, hn::ShiftRight<32>(square));
  }
  sums.sum += hn::GetLane(hn::SumOfLanes(du, sum));
  sums.squares_low += hn::GetLane(hn::SumOfLanes(du, squares_low));
  sums.squares_high += hn::GetLane(hn::SumOfLanes(du, squares_high));
  return i;
}
#endif

template <bool kWhere>
HWY_INLINE MomentSums all_sums(const float* values, const std::uint8_t* inside, std::int64_t count) {
  MomentSums sums;
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR  // it has no multiplication of 32 bits to 64
  i = add_vectors<kWhere>(hn::ScalableTag<double>(), values, inside, count, sums);
#endif
  for (; i < count; ++i) {
    if (kWhere && inside[i] == 0) continue;
    const float value = values[i] < kMost ? values[i] : kMost;
    const auto units = static_cast<std::uint64_t>(static_cast<double>(value) * kMomentUnits + kRounder - kRounder);
    const std::uint64_t square = units * units;
    sums.sum += units;
    sums.squares_low += square & 0xFFFFFFFFU;
    sums.squares_high += square >> 32U;
  }
  return sums;
}

MomentSums sum_all(const float* values, const std::uint8_t* /*inside*/, std::int64_t count) {
  return all_sums<false>(values, nullptr, count);
}
MomentSums sum_where(const float* values, const std::uint8_t* inside, std::int64_t count) {
  return all_sums<true>(values, inside, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace flatfield::numerics
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flatfield::numerics {

HWY_EXPORT(sum_all);
HWY_EXPORT(sum_where);

MomentSums moment_sums(const float* values, const std::uint8_t* inside, std::int64_t count) {
  return inside == nullptr ? HWY_DYNAMIC_DISPATCH(sum_all)(values, nullptr, count)
                           : HWY_DYNAMIC_DISPATCH(sum_where)(values, inside, count);
}

}  // namespace flatfield::numerics
#endif
