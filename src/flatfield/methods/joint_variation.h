#pragma once

#include <cstdint>
#include <optional>

#include "flatfield/numerics/exact_moments.h"

namespace flatfield::methods {

/// What the coefficient of joint variation of foreground and background is made of.
struct JointVariation {
  std::optional<numerics::Moments> foreground;
  std::optional<numerics::Moments> background;

  /// (sigma_fg + sigma_bg) / |mu_fg - mu_bg| (Likar et al. 2001): the less, the better two tissues are told apart. No
  /// value where either is missing, or both have the same mean.
  [[nodiscard]] std::optional<double> coefficient() const;
};

/// Moments of values that are divided by a number, which is not 0.
[[nodiscard]] numerics::Moments divided(const numerics::Moments& moments, double by);

/// Moments of two sets of values together; at least one holds any.
[[nodiscard]] numerics::Moments together(std::int64_t count_a, const numerics::Moments& a, std::int64_t count_b,
                                         const numerics::Moments& b);

}  // namespace flatfield::methods
