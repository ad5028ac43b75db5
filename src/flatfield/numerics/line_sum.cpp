// Compiled once per kind of CPU: foreach_target.h includes this file again for each. Functions of the standard library
// must not be used between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE: the linker might keep the copy that was
// compiled for the newest CPU, for all.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "flatfield/numerics/line_sum.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include "flatfield/numerics/line_sum.h"

HWY_BEFORE_NAMESPACE();
namespace flatfield::numerics {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void widen(const float* from, std::int64_t count, double* to) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(hn::PromoteTo(d, hn::LoadU(df, from + i)), d, to + i);
  for (; i < count; ++i) to[i] = from[i];
}

template <bool kIsOdd, class V>
HWY_INLINE V joined(V lower, V upper) {
  if constexpr (kIsOdd)
    return hn::Sub(lower, upper);
  else
    return hn::Add(lower, upper);
}

template <class D>
HWY_INLINE void store_float(D /*d*/, hn::Vec<D> sum, float* out) {
  const hn::Rebind<float, D> df;
  hn::StoreU(hn::DemoteTo(df, sum), df, out);
}

template <bool kIsOdd, class D>
HWY_INLINE hn::Vec<D> with_pair(D d, hn::Vec<D> sum, const double* lower, const double* upper, hn::Vec<D> weight) {
  return hn::Add(sum, hn::Mul(joined<kIsOdd>(hn::LoadU(d, lower), hn::LoadU(d, upper)), weight));
}

struct Lines {
  const double* const* line;
  std::int64_t radius;
  const double* weights;
};

/// One vector of sums from `i` on.
template <bool kIsOdd, class D>
HWY_INLINE void sum_one(D d, const Lines& lines, std::int64_t i, float* out) {
  auto sum = hn::Mul(hn::LoadU(d, lines.line[lines.radius] + i), hn::Set(d, lines.weights[lines.radius]));
  for (std::int64_t p = 0; p < lines.radius; ++p)
    sum = with_pair<kIsOdd>(d, sum, lines.line[p] + i, lines.line[2 * lines.radius - p] + i, hn::Set(d, lines.weights[p]));
  store_float(d, sum, out + i);
}

/// Four vectors at once, which the additions of one need not wait for.
template <bool kIsOdd, class D>
HWY_INLINE void sum_four(D d, const Lines& lines, std::int64_t i, float* out) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto centre_weight = hn::Set(d, lines.weights[lines.radius]);
  const double* const centre = lines.line[lines.radius] + i;
  auto sum0 = hn::Mul(hn::LoadU(d, centre), centre_weight);
  auto sum1 = hn::Mul(hn::LoadU(d, centre + lanes), centre_weight);
  auto sum2 = hn::Mul(hn::LoadU(d, centre + 2 * lanes), centre_weight);
  auto sum3 = hn::Mul(hn::LoadU(d, centre + 3 * lanes), centre_weight);
  for (std::int64_t p = 0; p < lines.radius; ++p) {
    const double* const lower = lines.line[p] + i;
    const double* const upper = lines.line[2 * lines.radius - p] + i;
    const auto weight = hn::Set(d, lines.weights[p]);
    sum0 = with_pair<kIsOdd>(d, sum0, lower, upper, weight);
    sum1 = with_pair<kIsOdd>(d, sum1, lower + lanes, upper + lanes, weight);
    sum2 = with_pair<kIsOdd>(d, sum2, lower + 2 * lanes, upper + 2 * lanes, weight);
    sum3 = with_pair<kIsOdd>(d, sum3, lower + 3 * lanes, upper + 3 * lanes, weight);
  }
  store_float(d, sum0, out + i);
  store_float(d, sum1, out + i + lanes);
  store_float(d, sum2, out + i + 2 * lanes);
  store_float(d, sum3, out + i + 3 * lanes);
}

/// One vector each of two sums that are a line apart. A line that has been loaded for the one is kept for the other.
template <int kVectors, class D>
HWY_INLINE void sum_two(D d, const Lines& lines, std::int64_t i, float* out, float* next) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t r = lines.radius;
  const auto load = [&](std::int64_t line, int k) { return hn::LoadU(d, lines.line[line] + i + k * lanes); };
  using V = hn::Vec<D>;
  V sum[kVectors], next_sum[kVectors], lower[kVectors], next_upper[kVectors];
  const auto centre_weight = hn::Set(d, lines.weights[r]);
  for (int k = 0; k < kVectors; ++k) {
    sum[k] = hn::Mul(load(r, k), centre_weight);
    next_sum[k] = hn::Mul(load(r + 1, k), centre_weight);
    lower[k] = load(0, k);
    next_upper[k] = load(2 * r + 1, k);
  }
  for (std::int64_t p = 0; p < r; ++p) {
    const auto weight = hn::Set(d, lines.weights[p]);
    for (int k = 0; k < kVectors; ++k) {
      const V upper = load(2 * r - p, k);
      const V next_lower = load(p + 1, k);
      sum[k] = hn::Add(sum[k], hn::Mul(hn::Add(lower[k], upper), weight));
      next_sum[k] = hn::Add(next_sum[k], hn::Mul(hn::Add(next_lower, next_upper[k]), weight));
      lower[k] = next_lower;
      next_upper[k] = upper;
    }
  }
  for (int k = 0; k < kVectors; ++k) {
    store_float(d, sum[k], out + i + k * lanes);
    store_float(d, next_sum[k], next + i + k * lanes);
  }
}

void sum_even_two(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count, float* out,
                  float* next) {
  const hn::ScalableTag<double> whole;
  const hn::CappedTag<double, 1> single;
  const Lines all{lines, radius, weights};
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(whole));
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) sum_two<2>(whole, all, i, out, next);
  for (; i < count; ++i) sum_two<1>(single, all, i, out, next);
}

template <bool kIsOdd>
HWY_INLINE void sum_lines(const Lines& lines, std::int64_t count, float* out) {
  const hn::ScalableTag<double> whole;
  const hn::CappedTag<double, 1> single;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(whole));
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) sum_four<kIsOdd>(whole, lines, i, out);
  for (; i + lanes <= count; i += lanes) sum_one<kIsOdd>(whole, lines, i, out);
  for (; i < count; ++i) sum_one<kIsOdd>(single, lines, i, out);
}

void sum_even(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count, float* out) {
  sum_lines<false>({lines, radius, weights}, count, out);
}
void sum_odd(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count, float* out) {
  sum_lines<true>({lines, radius, weights}, count, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace flatfield::numerics
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flatfield::numerics {

HWY_EXPORT(widen);
HWY_EXPORT(sum_even);
HWY_EXPORT(sum_odd);
HWY_EXPORT(sum_even_two);

void widen_line(const float* from, std::int64_t count, double* to) { HWY_DYNAMIC_DISPATCH(widen)(from, count, to); }
void sum_even_lines(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count,
                    float* out) {
  HWY_DYNAMIC_DISPATCH(sum_even)(lines, radius, weights, count, out);
}
void sum_odd_lines(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count,
                   float* out) {
  HWY_DYNAMIC_DISPATCH(sum_odd)(lines, radius, weights, count, out);
}

void sum_even_line_pair(const double* const* lines, std::int64_t radius, const double* weights, std::int64_t count,
                        float* out, float* next) {
  HWY_DYNAMIC_DISPATCH(sum_even_two)(lines, radius, weights, count, out, next);
}

}  // namespace flatfield::numerics
#endif
