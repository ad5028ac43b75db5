#include "flatfield/numerics/dct.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

constexpr std::int64_t kLanes = LaneFft::kLanes;

/// Where sample n of a line goes: the even samples first, then the odd ones backwards.
std::int64_t folded(std::int64_t n, std::int64_t length) {
  return n % 2 == 0 ? n / 2 : length - 1 - n / 2;
}

/// Lines as complex lanes: line l is the real part of lane l, or the imaginary part of lane l - 4.
struct PackedLines {
  double* re;
  double* im;
  double* at(std::int64_t sample) const { return re + sample * kLanes; }
  double* imaginary_at(std::int64_t sample) const { return im + sample * kLanes; }
};

void load(const double* from, std::int64_t line_step, std::int64_t lines, double* re, double* im) {
  for (std::int64_t l = 0; l < kLanes; ++l) re[l] = l < lines ? from[l * line_step] : 0.0;
  for (std::int64_t l = kLanes; l < 2 * kLanes; ++l)
    im[l - kLanes] = l < lines ? from[l * line_step] : 0.0;
}

void store(const double* re, const double* im, std::int64_t line_step, std::int64_t lines,
           double* to) {
  for (std::int64_t l = 0; l < std::min(lines, kLanes); ++l) to[l * line_step] = re[l];
  for (std::int64_t l = kLanes; l < lines; ++l) to[l * line_step] = im[l - kLanes];
}

}  // namespace

LineDct::LineDct(std::int64_t length) : fft_(length) {
  for (std::int64_t k = 0; k < length; ++k) {
    scale_.push_back(std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(length)));
    const double angle =
        std::numbers::pi * static_cast<double>(k) / (2.0 * static_cast<double>(length));
    cosines_.push_back(std::cos(angle));
    sines_.push_back(std::sin(angle));
  }
}

std::size_t LineDct::scratch_size() const {
  return static_cast<std::size_t>(2 * length() * kLanes) + fft_.scratch_size();
}

void LineDct::forward(double* first, std::int64_t step, std::int64_t line_step, std::int64_t lines,
                      std::span<double> scratch) const {
  const std::int64_t n = length();
  const PackedLines packed{scratch.data(), scratch.data() + n * kLanes};
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t at = folded(i, n);
    load(first + i * step, line_step, lines, packed.at(at), packed.imaginary_at(at));
  }
  fft_.transform(packed.re, packed.im, scratch.subspan(static_cast<std::size_t>(2 * n * kLanes)));
  // The spectra of the two lines of a lane are the even and the odd part of the lane's; each is
  // turned by a quarter of its frequency, and its real part is the cosine transform.
  for (std::int64_t k = 0; k < n; ++k) {
    const double half = 0.5 * scale_[static_cast<std::size_t>(k)];
    const double c = half * cosines_[static_cast<std::size_t>(k)];
    const double s = half * sines_[static_cast<std::size_t>(k)];
    const std::int64_t opposite = k == 0 ? 0 : n - k;
    const double* zr = packed.at(k);
    const double* zi = packed.imaginary_at(k);
    const double* wr = packed.at(opposite);
    const double* wi = packed.imaginary_at(opposite);
    double a[kLanes];
    double b[kLanes];
    for (std::int64_t l = 0; l < kLanes; ++l) {
      a[l] = c * (zr[l] + wr[l]) + s * (zi[l] - wi[l]);
      b[l] = c * (zi[l] + wi[l]) + s * (wr[l] - zr[l]);
    }
    store(a, b, line_step, lines, first + k * step);
  }
}

void LineDct::inverse(double* first, std::int64_t step, std::int64_t line_step, std::int64_t lines,
                      std::span<double> scratch) const {
  const std::int64_t n = length();
  const PackedLines packed{scratch.data(), scratch.data() + n * kLanes};
  for (std::int64_t k = 0; k < n; ++k) {
    double a[kLanes], b[kLanes], a_opposite[kLanes] = {}, b_opposite[kLanes] = {};
    load(first + k * step, line_step, lines, a, b);
    if (k > 0) load(first + (n - k) * step, line_step, lines, a_opposite, b_opposite);
    // `scale` undoes the orthonormal scale and divides by the length.
    const double scale = 1.0 / (scale_[static_cast<std::size_t>(k)] * static_cast<double>(n));
    const double c = scale * cosines_[static_cast<std::size_t>(k)];
    const double s = scale * sines_[static_cast<std::size_t>(k)];
    double* re = packed.at(k);
    double* im = packed.imaginary_at(k);
    for (std::int64_t l = 0; l < kLanes; ++l) {
      re[l] = (a[l] * c + a_opposite[l] * s) - (b[l] * s - b_opposite[l] * c);
      im[l] = (a[l] * s - a_opposite[l] * c) + (b[l] * c + b_opposite[l] * s);
    }
  }
  fft_.transform(packed.im, packed.re, scratch.subspan(static_cast<std::size_t>(2 * n * kLanes)));
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t at = folded(i, n);
    store(packed.at(at), packed.imaginary_at(at), line_step, lines, first + i * step);
  }
}

Dct::Dct(const Extent3& shape) : shape_(shape) {
  if (shape.empty())
    throw Error(ErrorCode::kInternal, "Dct: the shape " + to_string(shape) + " is empty");
  for (int axis = 0; axis < 3; ++axis)
    if (shape[axis] > 1) axes_[static_cast<std::size_t>(axis)].emplace(shape[axis]);
}

template <class Transform>
void Dct::along_axis(int axis, std::span<double> values, const ParallelFor& parallel_for,
                     Transform transform) const {
  const std::optional<LineDct>& line = axes_[static_cast<std::size_t>(axis)];
  if (!line) return;
  const std::int64_t length = shape_[axis];
  const std::int64_t step = axis == 0 ? shape_.y * shape_.x : axis == 1 ? shape_.x : 1;
  // Lines that begin next to each other form a row of `in_row`; along x every line begins a row.
  const std::int64_t in_row = axis == 2 ? shape_.z * shape_.y : step;
  const std::int64_t line_step = axis == 2 ? shape_.x : 1;
  const std::int64_t rows = shape_.volume() / (length * in_row);
  const std::int64_t groups_in_row = ceil_div(in_row, LineDct::kLines);
  constexpr std::int64_t kGroupsPerTask = 4;
  parallel_for(ceil_div(rows * groups_in_row, kGroupsPerTask), [&](std::int64_t task) {
    std::vector<double> scratch(line->scratch_size());
    const std::int64_t end = std::min((task + 1) * kGroupsPerTask, rows * groups_in_row);
    for (std::int64_t group = task * kGroupsPerTask; group < end; ++group) {
      const std::int64_t begin = group % groups_in_row * LineDct::kLines;
      double* const first =
          values.data() + group / groups_in_row * length * step + begin * line_step;
      transform(*line, first, step, line_step, std::min(LineDct::kLines, in_row - begin), scratch);
    }
  });
}

void Dct::forward(std::span<double> values, const ParallelFor& parallel_for) const {
  for (int axis = 0; axis < 3; ++axis)
    along_axis(axis, values, parallel_for,
               [](const LineDct& line, auto&&... arguments) { line.forward(arguments...); });
}

void Dct::inverse(std::span<double> values, const ParallelFor& parallel_for) const {
  for (int axis = 0; axis < 3; ++axis)
    along_axis(axis, values, parallel_for,
               [](const LineDct& line, auto&&... arguments) { line.inverse(arguments...); });
}

}  // namespace flatfield::numerics
