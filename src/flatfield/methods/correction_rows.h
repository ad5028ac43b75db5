#pragma once

#include <cstdint>

namespace flatfield::methods {

/// The reciprocals of the curves for one row of voxels.
struct RowGains {
  const float* x;  ///< one per voxel
  float y;
  float z;
  float ratio;
};

/// The correction of `n` voxels of a row, as functions compiled for one kind of CPU. Every step is a float32 operation
/// of its own, so every CPU computes the same bits. Results are clipped to [0, 65535] and rounded half to even.
/// `out` may be `raw`.
template <class T>
struct CorrectionRows {
  /// max(raw - background, 0)
  void (*subtract)(const T* raw, const float* background, std::uint16_t* out, std::int64_t n);
  /// (max(raw - background, 0) - darkfield) / flatfield; the darkfield may exceed what is left.
  void (*flatten)(const T* raw, const float* background, const float* darkfield, const float* flatfield,
                  std::uint16_t* out, std::int64_t n);
  /// (((max(raw - background, 0) * x) * y) * z) * ratio; gains may be negative.
  void (*gain)(const T* raw, const float* background, const RowGains& gains, std::uint16_t* out, std::int64_t n);
  /// `gain` where `inside` holds all ones, `subtract` where it holds zero.
  void (*gain_inside)(const T* raw, const float* background, const RowGains& gains, const std::uint32_t* inside,
                      std::uint16_t* out, std::int64_t n);
};

/// The functions for the CPU that this runs on. T is uint8 or uint16.
template <class T>
[[nodiscard]] CorrectionRows<T> correction_rows();

template <>
CorrectionRows<std::uint8_t> correction_rows();
template <>
CorrectionRows<std::uint16_t> correction_rows();

}  // namespace flatfield::methods
