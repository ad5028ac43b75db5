#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace flatfield::numerics {

/// Complex discrete Fourier transform of any length, of kLanes signals side by side: sample i of
/// lane l is at index i * kLanes + l of an array of real and an array of imaginary parts. Every
/// operation of the transform then is one on neighbouring values, and vectorises without shuffles.
///
/// Mixed radix (4, 2, 3, 5 and other small primes) in the self-sorting order of Stockham; lengths
/// with a prime factor above 31 become a convolution (Bluestein). About 1e-16 * log2(length) of
/// relative error. Immutable: one plan serves all threads.
class LaneFft {
 public:
  static constexpr std::int64_t kLanes = 4;

  /// Throws Error(kInternal) for a length < 1.
  explicit LaneFft(std::int64_t length);

  [[nodiscard]] std::int64_t length() const { return length_; }
  /// Doubles that a transform needs besides its data.
  [[nodiscard]] std::size_t scratch_size() const;

  /// In place X[k] = sum over n of x[n] * exp(-2 pi i n k / length), like numpy.fft.fft. `re` and
  /// `im` hold length * kLanes values each. With `re` and `im` exchanged it is the inverse
  /// transform times the length.
  void transform(double* re, double* im, std::span<double> scratch) const;

 private:
  /// One pass: transforms of length `radix` of samples that lie `stride` * `rest` apart.
  struct Pass {
    std::int64_t radix;
    std::int64_t rest;            ///< length of the sub-transforms that are still to come
    std::int64_t stride;          ///< product of the radices before
    std::vector<double> cosines;  ///< twiddle factors, radix - 1 for each index of the rest
    std::vector<double> sines;
    std::vector<double>
        root_cosines;  ///< the radix-th roots of unity, for radices without a kernel
    std::vector<double> root_sines;
  };
  /// A transform of awkward length as a convolution with a chirp.
  struct Chirp;

  void transform_by_chirp(double* re, double* im, std::span<double> scratch) const;

  std::int64_t length_;
  std::vector<Pass> passes_;
  std::shared_ptr<const Chirp> chirp_;
};

}  // namespace flatfield::numerics
