#include "flatfield/numerics/lane_fft.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::numerics {
namespace {

constexpr std::int64_t kLanes = LaneFft::kLanes;
/// A pass over a larger prime costs more than the convolution.
constexpr std::int64_t kLargestRadix = 31;

/// Real and imaginary parts of all lanes.
struct Parts {
  double* re;
  double* im;
};

/// cos and sin of -2 pi numerator / denominator.
struct Root {
  double cosine;
  double sine;
};
Root root_of_unity(std::int64_t numerator, std::int64_t denominator) {
  const double angle = -2.0 * std::numbers::pi * static_cast<double>(numerator % denominator) /
                       static_cast<double>(denominator);
  return {std::cos(angle), std::sin(angle)};
}

/// The transforms of length 2 to 5, in place.
template <int kRadix>
using Values = std::array<double, kRadix>;

inline void butterfly(Values<2>& re, Values<2>& im) {
  const double r = re[0] - re[1];
  const double i = im[0] - im[1];
  re[0] += re[1];
  im[0] += im[1];
  re[1] = r;
  im[1] = i;
}

inline void butterfly(Values<3>& re, Values<3>& im) {
  constexpr double kHalfRoot3 = 0.86602540378443864676;
  const double sum_r = re[1] + re[2];
  const double sum_i = im[1] + im[2];
  const double rest_r = re[0] - 0.5 * sum_r;
  const double rest_i = im[0] - 0.5 * sum_i;
  const double turned_r = kHalfRoot3 * (im[1] - im[2]);
  const double turned_i = kHalfRoot3 * (re[2] - re[1]);
  re[0] += sum_r;
  im[0] += sum_i;
  re[1] = rest_r + turned_r;
  im[1] = rest_i + turned_i;
  re[2] = rest_r - turned_r;
  im[2] = rest_i - turned_i;
}

inline void butterfly(Values<4>& re, Values<4>& im) {
  const double r02 = re[0] + re[2];
  const double i02 = im[0] + im[2];
  const double r13 = re[1] + re[3];
  const double i13 = im[1] + im[3];
  const double even_r = re[0] - re[2];
  const double even_i = im[0] - im[2];
  const double odd_r = re[1] - re[3];
  const double odd_i = im[1] - im[3];
  re[0] = r02 + r13;
  im[0] = i02 + i13;
  re[2] = r02 - r13;
  im[2] = i02 - i13;
  re[1] = even_r + odd_i;
  im[1] = even_i - odd_r;
  re[3] = even_r - odd_i;
  im[3] = even_i + odd_r;
}

inline void butterfly(Values<5>& re, Values<5>& im) {
  constexpr double kCos1 = 0.30901699437494742410;
  constexpr double kCos2 = -0.80901699437494742410;
  constexpr double kSin1 = 0.95105651629515357212;
  constexpr double kSin2 = 0.58778525229247312917;
  const double sum14_r = re[1] + re[4];
  const double sum14_i = im[1] + im[4];
  const double sum23_r = re[2] + re[3];
  const double sum23_i = im[2] + im[3];
  const double dif14_r = re[1] - re[4];
  const double dif14_i = im[1] - im[4];
  const double dif23_r = re[2] - re[3];
  const double dif23_i = im[2] - im[3];
  const double a_r = re[0] + kCos1 * sum14_r + kCos2 * sum23_r;
  const double a_i = im[0] + kCos1 * sum14_i + kCos2 * sum23_i;
  const double b_r = re[0] + kCos2 * sum14_r + kCos1 * sum23_r;
  const double b_i = im[0] + kCos2 * sum14_i + kCos1 * sum23_i;
  const double c_r = kSin1 * dif14_i + kSin2 * dif23_i;
  const double c_i = -(kSin1 * dif14_r + kSin2 * dif23_r);
  const double d_r = kSin2 * dif14_i - kSin1 * dif23_i;
  const double d_i = -(kSin2 * dif14_r - kSin1 * dif23_r);
  re[0] += sum14_r + sum23_r;
  im[0] += sum14_i + sum23_i;
  re[1] = a_r + c_r;
  im[1] = a_i + c_i;
  re[2] = b_r + d_r;
  im[2] = b_i + d_i;
  re[3] = b_r - d_r;
  im[3] = b_i - d_i;
  re[4] = a_r - c_r;
  im[4] = a_i - c_i;
}

/// The sub-transforms at one index of the rest: `width` neighbouring values, inputs `in_step`
/// apart, outputs next to each other.
template <int kRadix>
void pass_kernel(const double* __restrict in_re, const double* __restrict in_im,
                 std::int64_t in_step, std::int64_t width, const double* cosines,
                 const double* sines, double* __restrict out_re, double* __restrict out_im) {
  Values<kRadix> c{1.0};
  Values<kRadix> s{0.0};
  for (std::size_t k = 1; k < kRadix; ++k) {
    c[k] = cosines[k - 1];
    s[k] = sines[k - 1];
  }
  for (std::int64_t j = 0; j < width; ++j) {
    Values<kRadix> re;
    Values<kRadix> im;
    for (std::size_t k = 0; k < kRadix; ++k) {
      re[k] = in_re[static_cast<std::int64_t>(k) * in_step + j];
      im[k] = in_im[static_cast<std::int64_t>(k) * in_step + j];
    }
    butterfly(re, im);
    out_re[j] = re[0];
    out_im[j] = im[0];
    for (std::size_t k = 1; k < kRadix; ++k) {
      out_re[static_cast<std::int64_t>(k) * width + j] = re[k] * c[k] - im[k] * s[k];
      out_im[static_cast<std::int64_t>(k) * width + j] = re[k] * s[k] + im[k] * c[k];
    }
  }
}

/// The same for any radix, straight from the definition of the transform.
void pass_of_any_radix(std::int64_t radix, const Parts& in, std::int64_t in_step,
                       std::int64_t width, const double* cosines, const double* sines,
                       const double* root_cosines, const double* root_sines, const Parts& out) {
  for (std::int64_t k = 0; k < radix; ++k) {
    double* __restrict to_re = out.re + k * width;
    double* __restrict to_im = out.im + k * width;
    std::fill_n(to_re, width, 0.0);
    std::fill_n(to_im, width, 0.0);
    for (std::int64_t i = 0; i < radix; ++i) {
      const double c = root_cosines[i * k % radix];
      const double s = root_sines[i * k % radix];
      const double* from_re = in.re + i * in_step;
      const double* from_im = in.im + i * in_step;
      for (std::int64_t j = 0; j < width; ++j) {
        to_re[j] += from_re[j] * c - from_im[j] * s;
        to_im[j] += from_re[j] * s + from_im[j] * c;
      }
    }
    if (k == 0) continue;
    const double c = cosines[k - 1];
    const double s = sines[k - 1];
    for (std::int64_t j = 0; j < width; ++j) {
      const double re = to_re[j];
      const double im = to_im[j];
      to_re[j] = re * c - im * s;
      to_im[j] = re * s + im * c;
    }
  }
}

/// The radices of a length, 4 before 2 before odd primes; the last one may be too large.
std::vector<std::int64_t> radices_of(std::int64_t length) {
  std::vector<std::int64_t> radices;
  for (const std::int64_t radix : {4, 2, 3, 5})
    for (; length % radix == 0; length /= radix) radices.push_back(radix);
  for (std::int64_t prime = 7; prime * prime <= length; prime += 2)
    for (; length % prime == 0; length /= prime) radices.push_back(prime);
  if (length > 1) radices.push_back(length);
  return radices;
}

/// The smallest number from `least` on whose only prime factors are 2, 3 and 5.
std::int64_t smooth_length(std::int64_t least) {
  for (std::int64_t length = least;; ++length) {
    std::int64_t rest = length;
    for (const std::int64_t prime : {2, 3, 5})
      while (rest % prime == 0) rest /= prime;
    if (rest == 1) return length;
  }
}

}  // namespace

struct LaneFft::Chirp {
  explicit Chirp(std::int64_t length) : convolution(smooth_length(2 * length - 1)) {
    const auto padded = static_cast<std::size_t>(convolution.length());
    for (std::int64_t n = 0; n < length; ++n) {
      const Root root = root_of_unity(n * n % (2 * length), 2 * length);
      cosines.push_back(root.cosine);
      sines.push_back(root.sine);
    }
    // The spectrum of the conjugate chirp, which is even and goes on periodically; the same in each
    // lane. Divided by the length, so that the inverse transform needs no scale.
    std::vector<double> re(padded * kLanes, 0.0);
    std::vector<double> im(padded * kLanes, 0.0);
    const auto scale = 1.0 / static_cast<double>(padded);
    for (std::size_t n = 0; n < cosines.size(); ++n)
      for (const std::size_t at : {n, (padded - n) % padded})
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          re[at * kLanes + lane] = cosines[n] * scale;
          im[at * kLanes + lane] = -sines[n] * scale;
        }
    std::vector<double> scratch(convolution.scratch_size());
    convolution.transform(re.data(), im.data(), scratch);
    for (std::size_t n = 0; n < padded; ++n) {
      spectrum_re.push_back(re[n * kLanes]);
      spectrum_im.push_back(im[n * kLanes]);
    }
  }

  LaneFft convolution;
  std::vector<double> cosines;  ///< exp(-i pi n^2 / length)
  std::vector<double> sines;
  std::vector<double> spectrum_re;
  std::vector<double> spectrum_im;
};

LaneFft::LaneFft(std::int64_t length) : length_(length) {
  if (length < 1)
    throw Error(ErrorCode::kInternal,
                "LaneFft: expected a length from 1, found " + std::to_string(length));
  const std::vector<std::int64_t> radices = radices_of(length);
  if (!radices.empty() && *std::max_element(radices.begin(), radices.end()) > kLargestRadix) {
    chirp_ = std::make_shared<const Chirp>(length);
    return;
  }
  std::int64_t size = length;
  for (const std::int64_t radix : radices) {
    Pass pass{radix, size / radix, length / size, {}, {}, {}, {}};
    for (std::int64_t q = 0; q < pass.rest; ++q)
      for (std::int64_t k = 1; k < radix; ++k) {
        const Root root = root_of_unity(q * k, size);
        pass.cosines.push_back(root.cosine);
        pass.sines.push_back(root.sine);
      }
    for (std::int64_t k = 0; radix > 5 && k < radix; ++k) {
      const Root root = root_of_unity(k, radix);
      pass.root_cosines.push_back(root.cosine);
      pass.root_sines.push_back(root.sine);
    }
    passes_.push_back(std::move(pass));
    size /= radix;
  }
}

std::size_t LaneFft::scratch_size() const {
  if (!chirp_) return static_cast<std::size_t>(2 * length_ * kLanes);
  return static_cast<std::size_t>(2 * chirp_->convolution.length() * kLanes) +
         chirp_->convolution.scratch_size();
}

void LaneFft::transform(double* re, double* im, std::span<double> scratch) const {
  if (chirp_) return transform_by_chirp(re, im, scratch);
  Parts from{re, im};
  Parts to{scratch.data(), scratch.data() + length_ * kLanes};
  for (const Pass& pass : passes_) {
    const std::int64_t width = pass.stride * kLanes;
    const std::int64_t in_step = pass.rest * width;
    for (std::int64_t q = 0; q < pass.rest; ++q) {
      const Parts in{from.re + q * width, from.im + q * width};
      const Parts out{to.re + q * pass.radix * width, to.im + q * pass.radix * width};
      const double* c = pass.cosines.data() + q * (pass.radix - 1);
      const double* s = pass.sines.data() + q * (pass.radix - 1);
      switch (pass.radix) {
        case 2: pass_kernel<2>(in.re, in.im, in_step, width, c, s, out.re, out.im); break;
        case 3: pass_kernel<3>(in.re, in.im, in_step, width, c, s, out.re, out.im); break;
        case 4: pass_kernel<4>(in.re, in.im, in_step, width, c, s, out.re, out.im); break;
        case 5: pass_kernel<5>(in.re, in.im, in_step, width, c, s, out.re, out.im); break;
        default:
          pass_of_any_radix(pass.radix, in, in_step, width, c, s, pass.root_cosines.data(),
                            pass.root_sines.data(), out);
      }
    }
    std::swap(from, to);
  }
  if (from.re != re) {
    std::copy_n(from.re, length_ * kLanes, re);
    std::copy_n(from.im, length_ * kLanes, im);
  }
}

void LaneFft::transform_by_chirp(double* re, double* im, std::span<double> scratch) const {
  // With 2 n k = n^2 + k^2 - (k - n)^2 the sum is a convolution with the conjugate chirp, between
  // two products with the chirp.
  const LaneFft& convolution = chirp_->convolution;
  const auto padded = static_cast<std::size_t>(convolution.length());
  const auto length = static_cast<std::size_t>(length_);
  double* const wide_re = scratch.data();
  double* const wide_im = scratch.data() + padded * kLanes;
  const std::span<double> rest = scratch.subspan(2 * padded * kLanes);
  const auto multiply = [](std::size_t count, const double* from_re, const double* from_im,
                           const std::vector<double>& c, const std::vector<double>& s,
                           double* to_re, double* to_im) {
    for (std::size_t n = 0; n < count; ++n)
      for (std::size_t i = n * kLanes; i < (n + 1) * kLanes; ++i) {
        const double r = from_re[i];
        const double m = from_im[i];
        to_re[i] = r * c[n] - m * s[n];
        to_im[i] = r * s[n] + m * c[n];
      }
  };
  multiply(length, re, im, chirp_->cosines, chirp_->sines, wide_re, wide_im);
  std::fill(wide_re + length * kLanes, wide_re + padded * kLanes, 0.0);
  std::fill(wide_im + length * kLanes, wide_im + padded * kLanes, 0.0);
  convolution.transform(wide_re, wide_im, rest);
  multiply(padded, wide_re, wide_im, chirp_->spectrum_re, chirp_->spectrum_im, wide_re, wide_im);
  convolution.transform(wide_im, wide_re, rest);
  multiply(length, wide_re, wide_im, chirp_->cosines, chirp_->sines, re, im);
}

}  // namespace flatfield::numerics
