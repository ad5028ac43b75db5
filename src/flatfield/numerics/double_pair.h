#pragma once

#include <cmath>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace flatfield::numerics {

/// Two doubles that are computed with together, read from and stored to float32 arrays. Written
/// with the instructions that every x86-64 CPU has, because compilers convert neighbouring floats
/// one by one or through memory, which halves the speed of the passes of BaSiC; the same bits
/// elsewhere, without them.
#ifdef __SSE2__
class DoublePair {
 public:
  DoublePair(double both) : value_(_mm_set1_pd(both)) {}  // NOLINT(google-explicit-constructor)

  static DoublePair load(const float* from) {
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  }
  static DoublePair load(const double* from) { return _mm_loadu_pd(from); }
  /// The first value alone, followed by 0.
  static DoublePair load_one(const float* from) { return _mm_set_sd(static_cast<double>(*from)); }
  static DoublePair load_one(const double* from) { return _mm_load_sd(from); }

  void store(float* to) const {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_castps_si128(_mm_cvtpd_ps(value_)));
  }
  void store(double* to) const { _mm_storeu_pd(to, value_); }
  void store_one(float* to) const { *to = static_cast<float>(_mm_cvtsd_f64(value_)); }
  void store_one(double* to) const { _mm_store_sd(to, value_); }

  friend DoublePair operator+(DoublePair a, DoublePair b) { return _mm_add_pd(a.value_, b.value_); }
  friend DoublePair operator-(DoublePair a, DoublePair b) { return _mm_sub_pd(a.value_, b.value_); }
  friend DoublePair operator*(DoublePair a, DoublePair b) { return _mm_mul_pd(a.value_, b.value_); }
  DoublePair& operator+=(DoublePair b) { return *this = *this + b; }

  /// sign(x) max(|x| - threshold, 0).
  friend DoublePair shrink(DoublePair x, DoublePair threshold) {
    const __m128d sign = _mm_set1_pd(-0.0);
    const __m128d beyond = _mm_sub_pd(_mm_andnot_pd(sign, x.value_), threshold.value_);
    return _mm_or_pd(_mm_max_pd(beyond, _mm_setzero_pd()), _mm_and_pd(sign, x.value_));
  }
  /// Of the two values.
  [[nodiscard]] double sum() const {
    return _mm_cvtsd_f64(value_) + _mm_cvtsd_f64(_mm_unpackhi_pd(value_, value_));
  }

 private:
  DoublePair(__m128d value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  __m128d value_;
};
#else
class DoublePair {
 public:
  DoublePair(double both) : DoublePair(both, both) {}  // NOLINT(google-explicit-constructor)

  template <class T>
  static DoublePair load(const T* from) {
    return {static_cast<double>(from[0]), static_cast<double>(from[1])};
  }
  template <class T>
  static DoublePair load_one(const T* from) {
    return {static_cast<double>(*from), 0.0};
  }
  template <class T>
  void store(T* to) const {
    to[0] = static_cast<T>(low_);
    to[1] = static_cast<T>(high_);
  }
  template <class T>
  void store_one(T* to) const {
    *to = static_cast<T>(low_);
  }

  friend DoublePair operator+(DoublePair a, DoublePair b) {
    return {a.low_ + b.low_, a.high_ + b.high_};
  }
  friend DoublePair operator-(DoublePair a, DoublePair b) {
    return {a.low_ - b.low_, a.high_ - b.high_};
  }
  friend DoublePair operator*(DoublePair a, DoublePair b) {
    return {a.low_ * b.low_, a.high_ * b.high_};
  }
  DoublePair& operator+=(DoublePair b) { return *this = *this + b; }

  friend DoublePair shrink(DoublePair x, DoublePair threshold) {
    return {shrink_one(x.low_, threshold.low_), shrink_one(x.high_, threshold.high_)};
  }
  [[nodiscard]] double sum() const { return low_ + high_; }

 private:
  DoublePair(double low, double high) : low_(low), high_(high) {}
  static double shrink_one(double x, double threshold) {
    const double beyond = std::abs(x) - threshold;
    return std::copysign(beyond > 0.0 ? beyond : 0.0, x);
  }
  double low_;
  double high_;
};
#endif

/// How a loop over arrays reads and writes two neighbours at a time,
struct PairAccess {
  template <class T>
  static DoublePair load(const T* from) {
    return DoublePair::load(from);
  }
  template <class T>
  static void store(DoublePair value, T* to) {
    value.store(to);
  }
};
/// and the lone last one.
struct LoneAccess {
  template <class T>
  static DoublePair load(const T* from) {
    return DoublePair::load_one(from);
  }
  template <class T>
  static void store(DoublePair value, T* to) {
    value.store_one(to);
  }
};

/// Calls step(i, access) for i = 0, 2, ... and, if `count` is odd, for the last index, where loads
/// give one value and a zero.
template <class Step>
inline void for_each_pair(std::int64_t count, Step step) {
  for (std::int64_t i = 0; i + 2 <= count; i += 2) step(i, PairAccess{});
  if (count % 2 == 1) step(count - 1, LoneAccess{});
}

}  // namespace flatfield::numerics
