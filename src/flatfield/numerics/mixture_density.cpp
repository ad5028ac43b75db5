#include "flatfield/numerics/mixture_density.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "flatfield/core/error.h"
#include "flatfield/numerics/exponential.h"

namespace flatfield::numerics {
namespace {

/// The inverse of the lower Cholesky factor.
FeatureMatrix inverse_cholesky(const FeatureMatrix& covariance) {
  FeatureMatrix lower{};
  FeatureMatrix inverse{};
  for (std::size_t row = 0; row < kFeatureCount; ++row)
    for (std::size_t column = 0; column <= row; ++column) {
      double rest = covariance[row][column];
      for (std::size_t k = 0; k < column; ++k) rest -= lower[row][k] * lower[column][k];
      if (row != column) {
        lower[row][column] = rest / lower[column][column];
        continue;
      }
      if (!(rest > 0) || !std::isfinite(rest))
        throw Error(ErrorCode::kBadInput,
                    "a covariance of the Gaussian mixture is not positive definite", "",
                    "the samples hold values that are not finite, or too few distinct ones");
      lower[row][row] = std::sqrt(rest);
    }
  for (std::size_t column = 0; column < kFeatureCount; ++column)
    for (std::size_t row = column; row < kFeatureCount; ++row) {
      double rest = row == column ? 1.0 : 0.0;
      for (std::size_t k = column; k < row; ++k) rest -= lower[row][k] * inverse[k][column];
      inverse[row][column] = rest / lower[row][row];
    }
  return inverse;
}

/// Row k of rows that are kStretch apart.
double* row_of(double* rows, std::size_t k) {
  return rows + static_cast<std::int64_t>(k) * MixtureDensity::kStretch;
}

// Loops over plain pointers, which compilers vectorise.

/// Elementwise largest of the rows.
void largest_of_rows(double* rows, std::size_t count_of_rows, std::int64_t count,
                     double* __restrict largest) {
  std::copy_n(rows, count, largest);
  for (std::size_t k = 1; k < count_of_rows; ++k) {
    const double* row = row_of(rows, k);
    for (std::int64_t i = 0; i < count; ++i) largest[i] = largest[i] < row[i] ? row[i] : largest[i];
  }
}

/// row = exp(row - largest), and adds it to the sum. Two loops, because the bound in the loop of
/// the exponential would keep that from being vectorised.
void exponentiate(const double* __restrict largest, std::int64_t count, double* __restrict row,
                  double* __restrict sum) {
  for (std::int64_t i = 0; i < count; ++i) row[i] = std::max(row[i] - largest[i], kLeastExponent);
  for (std::int64_t i = 0; i < count; ++i) {
    row[i] = exp_of_nonpositive(row[i]);
    sum[i] += row[i];
  }
}

void divide_by(const double* __restrict divisors, std::int64_t count, double* __restrict row) {
  for (std::int64_t i = 0; i < count; ++i) row[i] /= divisors[i];
}

}  // namespace

MixtureDensity::MixtureDensity(const std::vector<MixtureComponent>& components) {
  for (const MixtureComponent& component : components) {
    Gaussian gaussian{component.mean, inverse_cholesky(component.covariance), 0};
    gaussian.log_scale = std::log(component.weight) -
                         0.5 * static_cast<double>(kFeatureCount) * std::log(2 * std::numbers::pi);
    for (std::size_t f = 0; f < kFeatureCount; ++f)
      gaussian.log_scale += std::log(gaussian.whitening[f][f]);
    gaussians_.push_back(gaussian);
  }
}

void MixtureDensity::log_component(const Gaussian& gaussian, const FeaturePointers& samples,
                                   std::int64_t count, double* __restrict out) {
  // Written out, because compilers do not vectorise across samples with loops inside.
  static_assert(kFeatureCount == 5);
  const auto [xa, xb, xc, xd, xe] = samples;
  const FeatureVector mean = gaussian.mean;
  const FeatureMatrix w = gaussian.whitening;
  const double log_scale = gaussian.log_scale;
  for (std::int64_t i = 0; i < count; ++i) {
    const double a = xa[i] - mean[0], b = xb[i] - mean[1], c = xc[i] - mean[2];
    const double d = xd[i] - mean[3], e = xe[i] - mean[4];
    const double ya = w[0][0] * a;
    const double yb = w[1][0] * a + w[1][1] * b;
    const double yc = w[2][0] * a + w[2][1] * b + w[2][2] * c;
    const double yd = w[3][0] * a + w[3][1] * b + w[3][2] * c + w[3][3] * d;
    const double ye = w[4][0] * a + w[4][1] * b + w[4][2] * c + w[4][3] * d + w[4][4] * e;
    out[i] = log_scale - 0.5 * (ya * ya + yb * yb + yc * yc + yd * yd + ye * ye);
  }
}

void MixtureDensity::relative_densities(const FeaturePointers& samples, std::int64_t count,
                                        double* rows, double* largest, double* sum) const {
  for (std::size_t k = 0; k < gaussians_.size(); ++k)
    log_component(gaussians_[k], samples, count, row_of(rows, k));
  largest_of_rows(rows, gaussians_.size(), count, largest);
  std::fill_n(sum, count, 0.0);
  for (std::size_t k = 0; k < gaussians_.size(); ++k)
    exponentiate(largest, count, row_of(rows, k), sum);
}

void MixtureDensity::log_density(const FeaturePointers& samples, std::int64_t count,
                                 double* out) const {
  std::vector<double> rows(gaussians_.size() * static_cast<std::size_t>(kStretch));
  std::array<double, kStretch> sum;
  relative_densities(samples, count, rows.data(), out, sum.data());
  for (std::int64_t i = 0; i < count; ++i) out[i] += std::log(sum[static_cast<std::size_t>(i)]);
}

double MixtureDensity::responsibilities(const FeaturePointers& samples, std::int64_t count,
                                        double* rows) const {
  std::array<double, kStretch> largest;
  std::array<double, kStretch> sum;
  relative_densities(samples, count, rows, largest.data(), sum.data());
  // One logarithm for several sums: each lies between 1 and the number of components.
  constexpr std::size_t kFactors = 16;
  const auto used = static_cast<std::size_t>(count);
  double log_likelihood = 0;
  for (std::size_t i = 0; i < used;) {
    double product = 1;
    for (const std::size_t end = std::min(i + kFactors, used); i < end; ++i) {
      log_likelihood += largest[i];
      product *= sum[i];
    }
    log_likelihood += std::log(product);
  }
  for (std::size_t k = 0; k < gaussians_.size(); ++k) divide_by(sum.data(), count, row_of(rows, k));
  return log_likelihood;
}

}  // namespace flatfield::numerics
