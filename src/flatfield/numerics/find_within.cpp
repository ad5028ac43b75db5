// Compiled once per kind of CPU: foreach_target.h includes this file again for each. Functions of the standard library
// must not be used between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE: the linker might keep the copy that was
// compiled for the newest CPU, for all.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "flatfield/numerics/find_within.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include "flatfield/numerics/find_within.h"

HWY_BEFORE_NAMESPACE();
namespace flatfield::numerics {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V>
HWY_INLINE hn::Mask<D> within(D /*d*/, V value, V low, V high) {
  return hn::And(hn::Ge(value, low), hn::Le(value, high));
}

/// Few values lie within any bounds, so vectors without one are passed over at once.
std::int64_t find_in_row(const float* values, const std::uint8_t* inside, std::int64_t n, const float* low,
                         const float* high, const Bounds* others, std::int64_t other_count, std::uint32_t* indices) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t found = 0;
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto value = hn::LoadU(d, values + i);
    auto hit = within(d, value, hn::LoadU(d, low + i), hn::LoadU(d, high + i));
    for (std::int64_t k = 0; k < other_count; ++k)
      hit = hn::Or(hit, within(d, value, hn::Set(d, others[k].low), hn::Set(d, others[k].high)));
    if (hn::AllFalse(d, hit)) continue;
    std::uint8_t bits[8] = {};
    hn::StoreMaskBits(d, hit, bits);
    for (std::int64_t lane = 0; lane < lanes; ++lane)
      if (((bits[lane >> 3] >> (lane & 7)) & 1) != 0 && inside[i + lane] != 0)
        indices[found++] = static_cast<std::uint32_t>(i + lane);
  }
  for (; i < n; ++i) {
    bool hit = values[i] >= low[i] && values[i] <= high[i];
    for (std::int64_t k = 0; k < other_count; ++k)
      hit = hit || (values[i] >= others[k].low && values[i] <= others[k].high);
    if (hit && inside[i] != 0) indices[found++] = static_cast<std::uint32_t>(i);
  }
  return found;
}

}  // namespace HWY_NAMESPACE
}  // namespace flatfield::numerics
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flatfield::numerics {

HWY_EXPORT(find_in_row);

std::int64_t find_within(const float* values, const std::uint8_t* inside, std::int64_t n, const float* low,
                         const float* high, std::span<const Bounds> others, std::uint32_t* indices) {
  return HWY_DYNAMIC_DISPATCH(find_in_row)(values, inside, n, low, high, others.data(),
                                           static_cast<std::int64_t>(others.size()), indices);
}

}  // namespace flatfield::numerics
#endif
