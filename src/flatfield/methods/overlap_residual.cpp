#include "flatfield/methods/overlap_residual.h"

#include <cmath>
#include <limits>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {

double overlap_residual(BlockView<float> a, BlockView<float> b, const ParallelFor& parallel_for) {
  if (a.shape != b.shape) throw Error(ErrorCode::kInternal, "overlaps of different shapes");
  constexpr double kSigma = 2.0;
  numerics::gaussian_filter(a, {kSigma, kSigma, kSigma}, parallel_for);
  numerics::gaussian_filter(b, {kSigma, kSigma, kSigma}, parallel_for);
  std::vector<float> ratios;
  ratios.reserve(static_cast<std::size_t>(a.size()));
  for (std::int64_t z = 0; z < a.shape.z; ++z)
    for (std::int64_t y = 0; y < a.shape.y; ++y) {
      const float* first = a.row(z, y);
      const float* second = b.row(z, y);
      for (std::int64_t x = 0; x < a.shape.x; ++x) {
        const double sum = static_cast<double>(first[x]) + second[x];
        if (sum > 0.0)
          ratios.push_back(static_cast<float>(2.0 * std::abs(static_cast<double>(first[x]) - second[x]) / sum));
      }
    }
  if (ratios.empty()) return std::numeric_limits<double>::quiet_NaN();
  return numerics::percentile(std::span<float>(ratios), 50.0);
}

}  // namespace flatfield::methods
