// Compiled once per kind of CPU: foreach_target.h includes this file again for each. Functions of the standard library
// must not be used between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE: the linker might keep the copy that was
// compiled for the newest CPU, for all.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "flatfield/methods/correction_rows.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include "flatfield/methods/correction_rows.h"

HWY_BEFORE_NAMESPACE();
namespace flatfield::methods {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The limits compare the bits of floats as integers: negative floats are negative integers, and the others are ordered
// alike. So what is not a number has a defined result too.

template <class D>
HWY_INLINE hn::Vec<D> at_least_zero(D d, hn::Vec<D> v) {
  const hn::RebindToSigned<D> di;
  return hn::BitCast(d, hn::Max(hn::BitCast(di, v), hn::Zero(di)));
}

/// max(raw - background, 0)
template <class D, class T>
HWY_INLINE hn::Vec<D> subtracted(D d, const T* raw, const float* background) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<T, D> dt;
  const auto counts = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(dt, raw)));
  return at_least_zero(d, hn::Sub(counts, hn::LoadU(d, background)));
}

template <class D>
HWY_INLINE hn::Vec<D> gained(D d, hn::Vec<D> v, const RowGains& gains, std::int64_t i) {
  v = hn::Mul(v, hn::LoadU(d, gains.x + i));
  v = hn::Mul(v, hn::Set(d, gains.y));
  v = hn::Mul(v, hn::Set(d, gains.z));
  return hn::Mul(v, hn::Set(d, gains.ratio));
}

// The nearest integers, half to even. For the instruction of x86, what no int32 holds is the least int32; Highway's own
// function takes three more to make that the largest for large numbers, and there are none here.
template <class V>
HWY_INLINE auto nearest(V v) {
  return hn::NearestInt(v);
}
#if HWY_ARCH_X86 && HWY_TARGET < HWY_EMU128
template <std::size_t N>
HWY_INLINE hn::Vec128<std::int32_t, N> nearest(hn::Vec128<float, N> v) {
  return hn::Vec128<std::int32_t, N>{_mm_cvtps_epi32(v.raw)};
}
#if HWY_TARGET <= HWY_AVX2
HWY_INLINE hn::Vec256<std::int32_t> nearest(hn::Vec256<float> v) {
  return hn::Vec256<std::int32_t>{_mm256_cvtps_epi32(v.raw)};
}
#endif
#endif

/// Rounds half to even what is clipped to [0, 65535], above here and below by the store, for which any negative number
/// is as good as another.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToSigned<D>> rounded(D d, hn::Vec<D> v) {
  const hn::RebindToSigned<D> di;
  const auto largest = hn::BitCast(di, hn::Set(d, 65535.0F));
  return nearest(hn::BitCast(d, hn::Min(hn::BitCast(di, v), largest)));
}

template <class D, class V>
HWY_INLINE void store_counts(D /*d*/, V counts, std::uint16_t* out) {
  const hn::Rebind<std::uint16_t, D> dt;
  hn::StoreU(hn::DemoteTo(dt, counts), dt, out);
}

/// Two neighbouring vectors.
template <class D, class V>
HWY_INLINE void store_two(D d, V first, V second, std::uint16_t* out) {
  store_counts(d, first, out);
  store_counts(d, second, out + hn::Lanes(d));
}
#if HWY_TARGET == HWY_AVX2
// Packed together and put in order, where each alone would take as many instructions.
template <class D>
HWY_INLINE void store_two(D /*d*/, hn::Vec256<std::int32_t> first, hn::Vec256<std::int32_t> second, std::uint16_t* out) {
  const __m256i by_halves = _mm256_packus_epi32(first.raw, second.raw);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute4x64_epi64(by_halves, 0b11'01'10'00));
}
#endif

/// Writes what `correct`, given the kind of vector and the index of its first voxel, makes of a row: four vectors, so
/// that the steps of one need not wait for those of another, then one by one, then single voxels.
template <class Correct>
HWY_INLINE void for_row(std::int64_t n, std::uint16_t* out, const Correct& correct) {
  const hn::ScalableTag<float> whole;
  const hn::CappedTag<float, 1> single;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(whole));
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto counts0 = rounded(whole, correct(whole, i));
    const auto counts1 = rounded(whole, correct(whole, i + lanes));
    const auto counts2 = rounded(whole, correct(whole, i + 2 * lanes));
    const auto counts3 = rounded(whole, correct(whole, i + 3 * lanes));
    store_two(whole, counts0, counts1, out + i);
    store_two(whole, counts2, counts3, out + i + 2 * lanes);
  }
  for (; i + lanes <= n; i += lanes) store_counts(whole, rounded(whole, correct(whole, i)), out + i);
  for (; i < n; ++i) store_counts(single, rounded(single, correct(single, i)), out + i);
}

template <class T>
void subtract_row(const T* raw, const float* background, std::uint16_t* out, std::int64_t n) {
  for_row(n, out, [=](auto d, std::int64_t i) HWY_ATTR { return subtracted(d, raw + i, background + i); });
}

template <class T>
void flatten_row(const T* raw, const float* background, const float* darkfield, const float* flatfield,
                 std::uint16_t* out, std::int64_t n) {
  for_row(n, out, [=](auto d, std::int64_t i) HWY_ATTR {
    const auto difference = hn::Sub(subtracted(d, raw + i, background + i), hn::LoadU(d, darkfield + i));
    return hn::Div(difference, hn::LoadU(d, flatfield + i));
  });
}

template <class T>
void gain_row(const T* raw, const float* background, const RowGains& gains, std::uint16_t* out, std::int64_t n) {
  for_row(n, out, [=](auto d, std::int64_t i) HWY_ATTR {
    return gained(d, subtracted(d, raw + i, background + i), gains, i);
  });
}

template <class T>
void gain_row_inside(const T* raw, const float* background, const RowGains& gains, const std::uint32_t* inside,
                     std::uint16_t* out, std::int64_t n) {
  for_row(n, out, [=](auto d, std::int64_t i) HWY_ATTR {
    const hn::RebindToUnsigned<decltype(d)> du;
    const auto v = subtracted(d, raw + i, background + i);
    // By bits, since a blend by mask is three operations too on some CPUs and a comparison besides.
    const auto mask = hn::BitCast(d, hn::LoadU(du, inside + i));
    return hn::Xor(v, hn::And(hn::Xor(v, gained(d, v, gains, i)), mask));
  });
}

CorrectionRows<std::uint8_t> rows_uint8() {
  return {subtract_row<std::uint8_t>, flatten_row<std::uint8_t>, gain_row<std::uint8_t>,
          gain_row_inside<std::uint8_t>};
}
CorrectionRows<std::uint16_t> rows_uint16() {
  return {subtract_row<std::uint16_t>, flatten_row<std::uint16_t>, gain_row<std::uint16_t>,
          gain_row_inside<std::uint16_t>};
}

}  // namespace HWY_NAMESPACE
}  // namespace flatfield::methods
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flatfield::methods {

HWY_EXPORT(rows_uint8);
HWY_EXPORT(rows_uint16);

template <>
CorrectionRows<std::uint8_t> correction_rows() {
  return HWY_DYNAMIC_DISPATCH(rows_uint8)();
}
template <>
CorrectionRows<std::uint16_t> correction_rows() {
  return HWY_DYNAMIC_DISPATCH(rows_uint16)();
}

}  // namespace flatfield::methods
#endif
