#include "flatfield/methods/joint_variation.h"

#include <cmath>

namespace flatfield::methods {

std::optional<double> JointVariation::coefficient() const {
  if (!foreground || !background || foreground->mean == background->mean) return std::nullopt;
  return (foreground->deviation + background->deviation) / std::abs(foreground->mean - background->mean);
}

numerics::Moments divided(const numerics::Moments& moments, double by) {
  return {moments.mean / by, moments.deviation / by};
}

numerics::Moments together(std::int64_t count_a, const numerics::Moments& a, std::int64_t count_b,
                           const numerics::Moments& b) {
  const auto n_a = static_cast<double>(count_a);
  const auto n_b = static_cast<double>(count_b);
  const double mean = (n_a * a.mean + n_b * b.mean) / (n_a + n_b);
  const auto squares = [&](double n, const numerics::Moments& m) {
    return n * (m.deviation * m.deviation + (m.mean - mean) * (m.mean - mean));
  };
  return {mean, std::sqrt((squares(n_a, a) + squares(n_b, b)) / (n_a + n_b))};
}

}  // namespace flatfield::methods
