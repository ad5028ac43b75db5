#include "flatfield/methods/quality_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace flatfield::methods {
namespace {

using Read = std::optional<double> (*)(const QualityNumbers&);

/// A number must not lie on the wrong side of slope * reference + offset.
struct Threshold {
  double offset;
  double slope = 0.0;
};

/// A row of the table of numbers: what it is, when it warns and fails, and what that means.
struct Row {
  const char* name;
  Read read;
  std::optional<Threshold> warn_below{};
  std::optional<Threshold> warn_above{};
  std::optional<Threshold> fail_below{};
  std::optional<Threshold> fail_above{};
  bool needs_counts = false;  ///< says nothing of tissue of less than kFewestCounts
  const char* reference_name = "";
  Read reference = nullptr;
  const char* meaning = "";
};

/// Below this median of the foreground, in counts, the steps between whole counts are larger than
/// what profiles and spreads are to show.
constexpr double kFewestCounts = 10.0;

/// The one number that is held against a fact, not a threshold.
constexpr const char* kRatioName = "global_ratio";
constexpr const char* kClamped = "clamped";

constexpr const char* kWrongMask =
    "the mask does not fit the tile: check that it was made of this tile and is neither shifted "
    "nor flipped";
constexpr const char* kTissueInBackground =
    "the background planes hold tissue, so signal is subtracted: use planes without tissue "
    "(a tile from the border, --use-reference-bkg)";
constexpr const char* kLessEven =
    "the profile of the tissue is less even than before: look at the correction curves or the "
    "flatfield";
constexpr const char* kAtLimits =
    "the curve is cut off at its limits: look at the plot of the curve and at limits_x, limits_y, "
    "limits_z";

template <int Axis>
std::optional<double> cv_before(const QualityNumbers& n) {
  return n.profile_cv_before[Axis];
}
template <int Axis>
std::optional<double> cv_raw(const QualityNumbers& n) {
  return n.profile_cv_raw[Axis];
}
template <int Axis>
std::optional<double> cv_after(const QualityNumbers& n) {
  return n.profile_cv_after[Axis];
}
template <int Axis>
std::optional<double> at_limits(const QualityNumbers& n) {
  return n.axis_at_limits[Axis];
}

constexpr Row context(const char* name, Read read) { return {.name = name, .read = read}; }

template <int Axis>
constexpr Row cv_after_row(const char* name, const char* before) {
  return {.name = name,
          .read = cv_after<Axis>,
          .warn_above = Threshold{2.0, 1.1},
          .fail_above = Threshold{5.0, 1.5},
          .needs_counts = true,
          .reference_name = before,
          .reference = cv_before<Axis>,
          .meaning = kLessEven};
}

template <int Axis>
constexpr Row at_limits_row(const char* name) {
  return {.name = name,
          .read = at_limits<Axis>,
          .warn_above = Threshold{0.2},
          .fail_above = Threshold{0.5},
          .meaning = kAtLimits};
}

/// The numbers in the order in which they are reported. docs/quality.md holds the same thresholds,
/// and says why.
constexpr Row kRows[] = {
    context("mask_fraction", [](const QualityNumbers& n) { return n.mask_fraction; }),
    {.name = "mask_auc",
     .read = [](const QualityNumbers& n) { return n.mask_auc; },
     .warn_below = Threshold{0.88},
     .fail_below = Threshold{0.83},
     .meaning = kWrongMask},
    {.name = "mask_edge_agreement",
     .read = [](const QualityNumbers& n) { return n.mask_edge_agreement; },
     .warn_below = Threshold{0.90},
     .fail_below = Threshold{0.85},
     .meaning = kWrongMask},
    {.name = "background_planes_in_mask",
     .read = [](const QualityNumbers& n) { return n.background_planes_in_mask; },
     .warn_above = Threshold{0.01},
     .fail_above = Threshold{0.2},
     .meaning = kTissueInBackground},
    {.name = "background_span",
     .read = [](const QualityNumbers& n) { return n.background_span; },
     .warn_above = Threshold{1.0},
     .meaning = kTissueInBackground},
    context("background_zeroed_fraction",
            [](const QualityNumbers& n) { return n.background_zeroed_fraction; }),
    context("background_median_before",
            [](const QualityNumbers& n) { return n.background_median.before; }),
    {.name = "background_median_after",
     .read = [](const QualityNumbers& n) { return n.background_median.after; },
     .warn_above = Threshold{1.0, 0.1},
     .reference_name = "foreground_median_after",
     .reference = [](const QualityNumbers& n) { return n.foreground_median.after; },
     .meaning =
         "the background is not near 0 after the correction: check where the background came from"},
    context("foreground_median_before",
            [](const QualityNumbers& n) { return n.foreground_median.before; }),
    context("foreground_median_after",
            [](const QualityNumbers& n) { return n.foreground_median.after; }),
    context("profile_cv_z_raw", cv_raw<0>),
    context("profile_cv_y_raw", cv_raw<1>),
    context("profile_cv_x_raw", cv_raw<2>),
    context("profile_cv_z_before", cv_before<0>),
    context("profile_cv_y_before", cv_before<1>),
    context("profile_cv_x_before", cv_before<2>),
    cv_after_row<0>("profile_cv_z_after", "profile_cv_z_before"),
    cv_after_row<1>("profile_cv_y_after", "profile_cv_y_before"),
    cv_after_row<2>("profile_cv_x_after", "profile_cv_x_before"),
    context("cjv_before", [](const QualityNumbers& n) { return n.cjv.before; }),
    {.name = "cjv_after",
     .read = [](const QualityNumbers& n) { return n.cjv.after; },
     .warn_above = Threshold{0.0, 1.25},
     .fail_above = Threshold{0.0, 2.0},
     .needs_counts = true,
     .reference_name = "cjv_before",
     .reference = [](const QualityNumbers& n) { return n.cjv.before; },
     .meaning = "tissue and background are harder to tell apart than before: look at the result"},
    context("entropy_before", [](const QualityNumbers& n) { return n.entropy.before; }),
    {.name = "entropy_after",
     .read = [](const QualityNumbers& n) { return n.entropy.after; },
     .warn_above = Threshold{0.5, 1.0},
     .needs_counts = true,
     .reference_name = "entropy_before",
     .reference = [](const QualityNumbers& n) { return n.entropy.before; },
     .meaning = "the brightness of tissue is more spread out than before: look at the result"},
    {.name = "saturated_fraction",
     .read = [](const QualityNumbers& n) { return n.saturated_fraction; },
     .warn_above = Threshold{0.001},
     .fail_above = Threshold{0.05},
     .meaning = "voxels are cut off at 65535: lower the global factor"},
    context("axis_gain_min", [](const QualityNumbers& n) { return n.axis_gain_min; }),
    context("axis_gain_max", [](const QualityNumbers& n) { return n.axis_gain_max; }),
    at_limits_row<0>("axis_at_limits_z"),
    at_limits_row<1>("axis_at_limits_y"),
    at_limits_row<2>("axis_at_limits_x"),
    context(kRatioName, [](const QualityNumbers& n) { return n.global_ratio; }),
    {.name = "flat_std",
     .read = [](const QualityNumbers& n) { return n.flat_std; },
     .warn_below = Threshold{0.03},
     .warn_above = Threshold{0.5},
     .meaning = "illumination of this kind of microscope varies by 0.08 to 0.11: look at the "
                "flatfield's image"},
    {.name = "flat_span",
     .read = [](const QualityNumbers& n) { return n.flat_span; },
     .warn_below = Threshold{0.1},
     .meaning = "the flatfield is nearly even, so it corrects little: the light is even, or the "
                "fit failed"},
    {.name = "flat_min",
     .read = [](const QualityNumbers& n) { return n.flat_min; },
     .warn_below = Threshold{0.1},
     .meaning = "parts of the plane are amplified more than tenfold, noise included: look at the "
                "flatfield"},
};

std::string threshold_text(const char* sign, const Row& row,
                           const std::optional<Threshold>& threshold) {
  if (!threshold) return "";
  const auto [offset, slope] = *threshold;
  if (slope == 0.0) return fmt::format("{} {}", sign, offset);
  const std::string share =
      slope == 1.0 ? row.reference_name : fmt::format("{} * {}", slope, row.reference_name);
  return offset == 0.0 ? fmt::format("{} {}", sign, share)
                       : fmt::format("{} {} + {}", sign, share, offset);
}

std::string either(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + " or " + b;
}

/// A row held against the numbers of a volume.
class Judgement {
 public:
  Judgement(const Row& row, const QualityNumbers& numbers) : row_(row) {
    number_.name = row.name;
    number_.value = row.read(numbers);
    if (number_.value && !std::isfinite(*number_.value)) number_.value.reset();  // a ratio to 0 measures nothing
    number_.warn =
        either(threshold_text("<", row, row.warn_below), threshold_text(">", row, row.warn_above));
    number_.fail =
        either(threshold_text("<", row, row.fail_below), threshold_text(">", row, row.fail_above));
    if (row.reference != nullptr) reference_ = row.reference(numbers);
    too_dim_ = row.needs_counts && numbers.foreground_median.before.value_or(0.0) < kFewestCounts;
    number_.verdict = verdict();
  }

  [[nodiscard]] const JudgedNumber& number() const { return number_; }
  /// Why the number warns or fails.
  [[nodiscard]] std::string reason() const {
    const bool fails = number_.verdict == Verdict::kFail;
    std::string text = fmt::format("{} = {:.4g} ({})", number_.name, *number_.value,
                                   fails ? number_.fail : number_.warn);
    if (reference_) text += fmt::format(", {} = {:.4g}", row_.reference_name, *reference_);
    return text + ": " + row_.meaning;
  }

 private:
  [[nodiscard]] Verdict verdict() const {
    if (number_.warn.empty() && number_.fail.empty())
      return number_.value ? Verdict::kContext : Verdict::kNotMeasured;
    if (!number_.value || (row_.reference != nullptr && !reference_)) return Verdict::kNotMeasured;
    if (too_dim_) return Verdict::kContext;
    if (below(row_.fail_below) || above(row_.fail_above)) return Verdict::kFail;
    if (below(row_.warn_below) || above(row_.warn_above)) return Verdict::kWarn;
    return Verdict::kPass;
  }
  [[nodiscard]] double limit(const Threshold& threshold) const {
    return threshold.slope * reference_.value_or(0.0) + threshold.offset;
  }
  [[nodiscard]] bool below(const std::optional<Threshold>& threshold) const {
    return threshold && *number_.value < limit(*threshold);
  }
  [[nodiscard]] bool above(const std::optional<Threshold>& threshold) const {
    return threshold && *number_.value > limit(*threshold);
  }

  const Row& row_;
  JudgedNumber number_;
  std::optional<double> reference_;
  bool too_dim_ = false;
};

const char* mask_text(MaskSource source) {
  switch (source) {
    case MaskSource::kGiven: return "the foreground mask of the tile";
    case MaskSource::kBrightVoxels:
      return "made from the data: voxels brighter than 99.9 % of those of the background planes";
    case MaskSource::kAllVoxels: return "none: all voxels";
  }
  return "";
}

}  // namespace

std::string_view verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kNotMeasured: return "not measured";
    case Verdict::kContext: return "context";
    case Verdict::kPass: return "pass";
    case Verdict::kWarn: return "warn";
    case Verdict::kFail: return "fail";
  }
  return "";
}

QualityReport judge_quality(const QualityNumbers& numbers, bool ratio_clamped) {
  QualityReport report;
  report.mask = mask_text(numbers.mask_source);
  std::vector<std::string> warnings;
  for (const Row& row : kRows) {
    const Judgement judgement(row, numbers);
    report.numbers.push_back(judgement.number());
    JudgedNumber& number = report.numbers.back();
    if (number.verdict == Verdict::kFail) report.reasons.push_back(judgement.reason());
    if (number.verdict == Verdict::kWarn) warnings.push_back(judgement.reason());
    if (number.name == kRatioName) {
      number.warn = kClamped;
      if (number.value) number.verdict = ratio_clamped ? Verdict::kWarn : Verdict::kPass;
      if (number.value && ratio_clamped)
        warnings.push_back(
            fmt::format("{} = {:.4g} ({}): tiles will differ in brightness: check "
                        "global_ratio_limits and the global factor",
                        number.name, *number.value, kClamped));
    }
    report.verdict = std::max(report.verdict, number.verdict);
  }
  report.reasons.insert(report.reasons.end(), warnings.begin(), warnings.end());
  return report;
}

}  // namespace flatfield::methods
