// Compiled once per kind of CPU: foreach_target.h includes this file again for each. Functions of the standard library
// must not be used between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE: the linker might keep the copy that was
// compiled for the newest CPU, for all.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "flatfield/numerics/second_largest.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include "flatfield/numerics/second_largest.h"

HWY_BEFORE_NAMESPACE();
namespace flatfield::numerics {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
/// One vector of each row gives half a vector of results.
template <class D>
HWY_INLINE void reduce_vector(D d, const hn::TFromD<D>* const rows[4], hn::TFromD<D>* out, std::int64_t i) {
  using T = hn::TFromD<D>;
  const hn::RepartitionToWide<D> wide;
  const hn::RebindToSigned<decltype(wide)> wide_signed;
  const hn::Rebind<T, decltype(wide)> half;
  const auto a = hn::LoadU(d, rows[0] + 2 * i);
  const auto b = hn::LoadU(d, rows[1] + 2 * i);
  const auto c = hn::LoadU(d, rows[2] + 2 * i);
  const auto e = hn::LoadU(d, rows[3] + 2 * i);
  // The two largest of each column of four: the second is the smaller of the pairs' largest, or a pair's smaller.
  const auto larger_ab = hn::Max(a, b);
  const auto larger_ce = hn::Max(c, e);
  const auto first = hn::Max(larger_ab, larger_ce);
  const auto second = hn::Max(hn::Min(larger_ab, larger_ce), hn::Max(hn::Min(a, b), hn::Min(c, e)));
  // The same for neighbouring columns; the result is in the lower half of each wide lane.
  constexpr int kBits = 8 * sizeof(T);
  const auto next = [&](hn::Vec<D> v) HWY_ATTR { return hn::BitCast(d, hn::ShiftRight<kBits>(hn::BitCast(wide, v))); };
  const auto result = hn::Max(hn::Min(first, next(first)), hn::Max(second, next(second)));
  const auto low = hn::And(hn::BitCast(wide, result), hn::Set(wide, hwy::LimitsMax<T>()));
  hn::StoreU(hn::DemoteTo(half, hn::BitCast(wide_signed, low)), half, out + i);
}
#endif

/// The same for one window.
template <class T>
HWY_INLINE T reduce_window(const T* const rows[4], std::int64_t i) {
  T first = 0;
  T second = 0;
  for (int k = 0; k < 8; ++k) {
    const T value = rows[k / 2][2 * i + k % 2];
    const T smaller = value < first ? value : first;
    first = value < first ? first : value;
    second = smaller < second ? second : smaller;
  }
  return second;
}

template <class T>
HWY_INLINE void reduce_row(const T* const rows[4], T* out, std::int64_t n) {
  const T* const own[4] = {rows[0], rows[1], rows[2], rows[3]};
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<T> d;
  const auto windows = static_cast<std::int64_t>(hn::Lanes(d) / 2);
  for (; i + windows <= n; i += windows) reduce_vector(d, own, out, i);
#endif
  for (; i < n; ++i) out[i] = reduce_window(own, i);
}

void reduce_uint8(const std::uint8_t* const rows[4], std::uint8_t* out, std::int64_t n) { reduce_row(rows, out, n); }
void reduce_uint16(const std::uint16_t* const rows[4], std::uint16_t* out, std::int64_t n) {
  reduce_row(rows, out, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace flatfield::numerics
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flatfield::numerics {

HWY_EXPORT(reduce_uint8);
HWY_EXPORT(reduce_uint16);

void second_largest_row(const std::uint8_t* const rows[4], std::uint8_t* out, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(reduce_uint8)(rows, out, n);
}
void second_largest_row(const std::uint16_t* const rows[4], std::uint16_t* out, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(reduce_uint16)(rows, out, n);
}

}  // namespace flatfield::numerics
#endif
