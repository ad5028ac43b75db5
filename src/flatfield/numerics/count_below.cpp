// Compiled once per kind of CPU: foreach_target.h includes this file again for each. Functions of the standard library
// must not be used between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE: the linker might keep the copy that was
// compiled for the newest CPU, for all.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "flatfield/numerics/count_below.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include "flatfield/numerics/count_below.h"

HWY_BEFORE_NAMESPACE();
namespace flatfield::numerics {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> counted(D d, hn::Vec<D> count, const hn::TFromD<D>* values, hn::Vec<D> threshold) {
  // A comparison that holds is -1 as a number.
  return hn::Sub(count, hn::VecFromMask(d, hn::Lt(hn::LoadU(d, values), threshold)));
}

/// Counters stay in registers while all planes pass by.
template <class T>
HWY_INLINE void count_row(const T* values, std::int64_t stride, std::int64_t planes, const T* threshold, T* below,
                          std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto threshold0 = hn::LoadU(d, threshold + i);
    const auto threshold1 = hn::LoadU(d, threshold + i + lanes);
    const auto threshold2 = hn::LoadU(d, threshold + i + 2 * lanes);
    const auto threshold3 = hn::LoadU(d, threshold + i + 3 * lanes);
    auto count0 = hn::Zero(d);
    auto count1 = hn::Zero(d);
    auto count2 = hn::Zero(d);
    auto count3 = hn::Zero(d);
    const T* plane = values + i;
    for (std::int64_t p = 0; p < planes; ++p, plane += stride) {
      count0 = counted(d, count0, plane, threshold0);
      count1 = counted(d, count1, plane + lanes, threshold1);
      count2 = counted(d, count2, plane + 2 * lanes, threshold2);
      count3 = counted(d, count3, plane + 3 * lanes, threshold3);
    }
    hn::StoreU(count0, d, below + i);
    hn::StoreU(count1, d, below + i + lanes);
    hn::StoreU(count2, d, below + i + 2 * lanes);
    hn::StoreU(count3, d, below + i + 3 * lanes);
  }
  for (; i < n; ++i) {
    T count = 0;
    for (std::int64_t p = 0; p < planes; ++p)
      count = static_cast<T>(count + (values[p * stride + i] < threshold[i] ? 1 : 0));
    below[i] = count;
  }
}

void count_int8(const std::int8_t* values, std::int64_t stride, std::int64_t planes, const std::int8_t* threshold,
                std::int8_t* below, std::int64_t n) {
  count_row(values, stride, planes, threshold, below, n);
}
void count_int16(const std::int16_t* values, std::int64_t stride, std::int64_t planes, const std::int16_t* threshold,
                 std::int16_t* below, std::int64_t n) {
  count_row(values, stride, planes, threshold, below, n);
}
void count_int32(const std::int32_t* values, std::int64_t stride, std::int64_t planes, const std::int32_t* threshold,
                 std::int32_t* below, std::int64_t n) {
  count_row(values, stride, planes, threshold, below, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace flatfield::numerics
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flatfield::numerics {

HWY_EXPORT(count_int8);
HWY_EXPORT(count_int16);
HWY_EXPORT(count_int32);

void count_below(const std::int8_t* values, std::int64_t stride, std::int64_t planes, const std::int8_t* threshold,
                 std::int8_t* below, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(count_int8)(values, stride, planes, threshold, below, n);
}
void count_below(const std::int16_t* values, std::int64_t stride, std::int64_t planes, const std::int16_t* threshold,
                 std::int16_t* below, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(count_int16)(values, stride, planes, threshold, below, n);
}
void count_below(const std::int32_t* values, std::int64_t stride, std::int64_t planes, const std::int32_t* threshold,
                 std::int32_t* below, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(count_int32)(values, stride, planes, threshold, below, n);
}

}  // namespace flatfield::numerics
#endif
