#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "flatfield/core/extent.h"
#include "flatfield/core/parallel.h"
#include "flatfield/numerics/lane_fft.h"

namespace flatfield::numerics {

/// The cosine transform of lines of one length, eight lines at a time (J. Makhoul, "A fast cosine
/// transform in one and two dimensions", 1980: one Fourier transform of the line's own length). Two
/// real lines share a complex lane.
class LineDct {
 public:
  static constexpr std::int64_t kLines = 2 * LaneFft::kLanes;

  explicit LineDct(std::int64_t length);

  [[nodiscard]] std::int64_t length() const { return fft_.length(); }
  /// Doubles that a transform needs.
  [[nodiscard]] std::size_t scratch_size() const;

  /// In place orthonormal DCT-II of `lines` <= kLines lines: sample i of line l is at
  /// first[i * step + l * line_step].
  void forward(double* first, std::int64_t step, std::int64_t line_step, std::int64_t lines,
               std::span<double> scratch) const;
  /// Its inverse, the orthonormal DCT-III.
  void inverse(double* first, std::int64_t step, std::int64_t line_step, std::int64_t lines,
               std::span<double> scratch) const;

 private:
  LaneFft fft_;
  std::vector<double> scale_;    ///< sqrt(2 / length), for index 0 sqrt(1 / length)
  std::vector<double> cosines_;  ///< of pi k / (2 length)
  std::vector<double> sines_;
};

/// scipy.fft.dctn(values, type=2, norm="ortho") and scipy.fft.idctn of the same, in place, over all
/// axes of a (z, y, x) volume of doubles in C order; a plane has one z index. Any length; relative
/// error about 1e-15. Planned once; immutable, so one plan serves all threads. Lines are
/// transformed independently of each other: the bits do not depend on the number of threads.
class Dct {
 public:
  /// Throws Error(kInternal) for an empty shape.
  explicit Dct(const Extent3& shape);

  /// `values` holds shape.volume() values.
  void forward(std::span<double> values, const ParallelFor& parallel_for) const;
  void inverse(std::span<double> values, const ParallelFor& parallel_for) const;

 private:
  template <class Transform>
  void along_axis(int axis, std::span<double> values, const ParallelFor& parallel_for,
                  Transform transform) const;

  Extent3 shape_;
  std::array<std::optional<LineDct>, 3> axes_;  ///< none for an axis of length 1
};

}  // namespace flatfield::numerics
